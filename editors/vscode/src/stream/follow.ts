/**
 * Whether an editor scrolls along with a document that grows: as long as the cursor is at the end, and the reader has
 * not scrolled up to read something.
 */
export class Follow {
  private atEnd = true;
  private scrolledUp = false;
  private top = 0;

  get wanted(): boolean {
    return this.atEnd && !this.scrolledUp;
  }

  /** The reader put the cursor somewhere. */
  cursorMoved(isAtEnd: boolean): void {
    this.atEnd = isAtEnd;
    this.scrolledUp = false;
  }

  /**
   * Other lines are in sight. Following only ever moves down, so a smaller first line is the reader's doing; a smaller
   * last line alone is a panel that opened.
   */
  scrolled(top: number, showsEnd: boolean): void {
    if (showsEnd) {
      this.scrolledUp = false;
    } else if (top < this.top) {
      this.scrolledUp = true;
    }
    this.top = top;
  }
}
