import type { LoadProgress } from '../../types/load.ts';

/** The time over which the mean speed is taken. */
const WINDOW_MS = 3000;

/** The least time between two events, except those that begin and end a phase. */
const INTERVAL_MS = 100;

/** The time into a phase before there is an estimate of the time left. */
const SETTLING_MS = 500;

/** Converts byte counts to {@link LoadProgress} events, phase by phase. */
export class ProgressMeter {
  readonly #report: (progress: LoadProgress) => void;
  readonly #now: () => number;
  #phase: LoadProgress['phase'] = 'download';
  #totalBytes = 0;
  #loadedBytes = 0;
  #startMs = 0;
  #reportMs = 0;
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /**
   * @param report - Called with each event.
   * @param now - A clock in milliseconds.
   */
  constructor(
    report: (progress: LoadProgress) => void = () => {},
    now: () => number = () => performance.now(),
  ) {
    this.#report = report;
    this.#now = now;
  }

  /**
   * Begins a phase.
   *
   * @param loadedBytes - Bytes that are done already, and do not count towards the speed.
   */
  start(phase: LoadProgress['phase'], totalBytes: number, loadedBytes = 0): void {
    this.#phase = phase;
    this.#totalBytes = totalBytes;
    this.#loadedBytes = Math.min(loadedBytes, totalBytes);
    this.#startMs = this.#now();
    this.#samples = [{ atMs: this.#startMs, bytes: this.#loadedBytes }];
    this.#emit(this.#startMs);
  }

  /** Adds bytes that are done. */
  add(bytes: number): void {
    this.set(this.#loadedBytes + bytes);
  }

  /** Sets the number of bytes that are done; it never falls, and never exceeds the total. */
  set(loadedBytes: number): void {
    this.#loadedBytes = Math.min(this.#totalBytes, Math.max(this.#loadedBytes, loadedBytes));
    const now = this.#now();
    if (now - this.#reportMs >= INTERVAL_MS) this.#emit(now);
  }

  /** Ends the phase, with all of its bytes done. */
  end(): void {
    this.#loadedBytes = this.#totalBytes;
    this.#emit(this.#now());
  }

  #emit(nowMs: number): void {
    this.#reportMs = nowMs;
    this.#samples.push({ atMs: nowMs, bytes: this.#loadedBytes });
    // Keeps one sample that is at least as old as the window.
    while ((this.#samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) this.#samples.shift();
    const { atMs, bytes } = this.#samples[0] as { atMs: number; bytes: number };
    const bytesPerSecond = nowMs > atMs ? ((this.#loadedBytes - bytes) / (nowMs - atMs)) * 1000 : 0;
    const leftBytes = this.#totalBytes - this.#loadedBytes;
    const hasEstimate = nowMs - this.#startMs >= SETTLING_MS && bytesPerSecond > 0;
    this.#report({
      phase: this.#phase,
      loadedBytes: this.#loadedBytes,
      totalBytes: this.#totalBytes,
      bytesPerSecond,
      ...(leftBytes === 0
        ? { etaSeconds: 0 }
        : hasEstimate && { etaSeconds: leftBytes / bytesPerSecond }),
    });
  }
}
