/** Times as people read them. They are absolute, so that nothing on the screen grows old without being touched. */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `14:02` today, `Nov 20, 14:02` this year, else `Nov 20 2025`; the text itself where it is no time. */
export function clock(time: string, now: Date): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) {
    return time;
  }
  const hours = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
  const day = `${MONTHS[at.getMonth()] ?? ""} ${at.getDate()}`;
  if (at.getFullYear() !== now.getFullYear()) {
    return `${day} ${at.getFullYear()}`;
  }
  const today = at.getMonth() === now.getMonth() && at.getDate() === now.getDate();
  return today ? hours : `${day}, ${hours}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
