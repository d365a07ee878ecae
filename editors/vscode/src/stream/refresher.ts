/**
 * Runs a read when asked, never two at once. Requests that come while one runs lead to one more run after it, so that the
 * last answer is always newer than the last request, and a burst of events costs two reads and not a hundred.
 */
export class Refresher {
  private running = false;
  private next: (() => void)[] | undefined;

  constructor(
    private readonly read: () => Promise<void>,
    private readonly failed: (error: unknown) => void,
  ) {}

  request(): void {
    void this.settled();
  }

  /** As `request`; fulfilled when a read that began after this call has ended, also when it failed. */
  settled(): Promise<void> {
    return new Promise((done) => {
      (this.next ??= []).push(done);
      if (!this.running) {
        this.running = true;
        void this.run();
      }
    });
  }

  private async run(): Promise<void> {
    while (this.next !== undefined) {
      const waiting = this.next;
      this.next = undefined;
      try {
        await this.read();
      } catch (error) {
        this.failed(error);
      }
      for (const done of waiting) {
        done();
      }
    }
    this.running = false;
  }
}
