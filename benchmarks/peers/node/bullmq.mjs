// BullMQ in Node: `node bullmq.mjs client URL` submits, `node bullmq.mjs worker URL CONCURRENCY` works.
// Speaks the lines of benchmarks/peers/client.py and writes the tally of benchmarks/peers/tally.py.
import fs from "node:fs";
import readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue, Worker } from "bullmq";

const NAME = "bench";
const BULK = 500;
const LOOK_MS = 2;
const RECORD_BYTES = 16;

const now = () => process.hrtime.bigint();

function connectionTo(url) {
  const { hostname, port } = new URL(url);
  // What BullMQ's documentation asks of a worker's connection.
  return { host: hostname, port: Number(port), maxRetriesPerRequest: null };
}

/** Starts are collected and written once per turn of the event loop: a write a job would be work of ours, not its. */
class Tally {
  constructor(path) {
    this.file = fs.openSync(path, "r+");
    this.written = 1; // the first record is the header
    this.waiting = [];
  }

  ready() {
    this.write(0, [[now(), 0n]]);
  }

  count(number) {
    if (this.waiting.push([BigInt(number), now()]) === 1) setImmediate(() => this.flush());
  }

  flush() {
    this.write(this.written, this.waiting);
    this.written += this.waiting.length;
    this.waiting = [];
  }

  write(place, records) {
    const bytes = Buffer.allocUnsafe(records.length * RECORD_BYTES);
    records.forEach(([first, second], index) => {
      bytes.writeBigInt64LE(first, index * RECORD_BYTES);
      bytes.writeBigInt64LE(second, index * RECORD_BYTES + 8);
    });
    fs.writeSync(this.file, bytes, 0, bytes.length, place * RECORD_BYTES);
  }
}

function work(url, concurrency) {
  const tally = new Tally(process.env.NORTHSTAR_BENCH_TALLY);
  const worker = new Worker(NAME, async (job) => tally.count(job.data), {
    connection: connectionTo(url),
    concurrency,
    removeOnComplete: { count: 0 },
    autorun: false,
  });
  worker.on("error", (error) => console.error(error));
  process.once("SIGTERM", () => worker.close(true).finally(() => process.exit(0)));
  worker.waitUntilReady().then(() => {
    tally.ready();
    return worker.run();
  });
}

// A moment in nanoseconds does not fit a JavaScript number exactly, so a job's number travels as text.
class Submitter {
  constructor(url) {
    this.connection = connectionTo(url);
    this.options = { removeOnComplete: true };
  }

  async open() {
    this.queue = new Queue(NAME, { connection: this.connection, defaultJobOptions: this.options });
    this.queue.on("error", (error) => console.error(error));
    await this.queue.waitUntilReady();
    return { versions: { bullmq: versionOf("bullmq"), ioredis: versionOf("ioredis"), node: process.versions.node } };
  }

  async submit({ count }) {
    const since = now();
    for (let number = 0; number < count; number += 1) await this.queue.add("count", String(number));
    return { elapsed_ns: Number(now() - since) };
  }

  async bulk({ count }) {
    const since = now();
    for (let start = 0; start < count; start += BULK) {
      const size = Math.min(BULK, count - start);
      await this.queue.addBulk(Array.from({ length: size }, (_, i) => ({ name: "count", data: String(start + i) })));
    }
    return { elapsed_ns: Number(now() - since) };
  }

  async paced({ count, interval_ms }) {
    const begun = performance.now();
    for (let turn = 1; turn <= count; turn += 1) {
      await sleep(Math.max(0, begun + turn * interval_ms - performance.now()));
      await this.queue.add("count", String(now()));
    }
    return {};
  }

  async drained({ timeout_s }) {
    const until = performance.now() + timeout_s * 1000;
    for (;;) {
      const left = await this.queue.getJobCountByTypes("waiting", "active", "delayed", "prioritized");
      if (left === 0) return { drained_ns: Number(now()) };
      if (performance.now() > until) return { error: `the queue still counts ${left} unfinished jobs after ${timeout_s} s` };
      await sleep(LOOK_MS);
    }
  }

  async close() {
    await this.queue.close();
    return {};
  }
}

function versionOf(name) {
  return JSON.parse(fs.readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

async function serve(url) {
  const submitter = new Submitter(url);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: name, ...details } = JSON.parse(line);
    const answer = await submitter[name](details).catch((error) => ({ error: `${error.name}: ${error.message}` }));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

const [role, url, concurrency] = process.argv.slice(2);
if (role === "worker") work(url, Number(concurrency));
else serve(url);
