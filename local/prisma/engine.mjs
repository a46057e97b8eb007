// Prisma's query engine as an HTTP server: the interface of its native binary, over the WebAssembly build that
// @prisma/client carries. The native one is downloaded from a host of its own, this one comes from npm.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

import { PrismaPg } from "@prisma/adapter-pg";
import { bindAdapter } from "@prisma/driver-adapter-utils";
import pg from "pg";

import { connectionError, PrismaError, readDatabaseUrl, settleConnection } from "./database.mjs";
import { toGraphql, Translator } from "./graphql.mjs";

const require = createRequire(import.meta.url);
const { enginesVersion } = require("@prisma/engines-version");
const TRACE = "{}";
const DEFAULT_MAX_WAIT_MILLIS = 2000; // https://www.prisma.io/docs/orm/prisma-client/queries/transactions
const DRAIN_MILLIS = 5000;

// What the native engine reads and the adapter does not, as what the adapter reads. Numbers: PostgreSQL's pg_type.dat.
const TEXT_ARRAY = 1009;
const TIMESTAMP_ARRAY = 1115;
const NAME_ARRAY = 1003;
const TIMESTAMPTZ_ARRAY = 1185;
const READ_AS = new Map([
  [pg.types.builtins.CHAR, pg.types.builtins.TEXT],
  [19, pg.types.builtins.TEXT], // name
  [NAME_ARRAY, TEXT_ARRAY],
  [TIMESTAMPTZ_ARRAY, TIMESTAMP_ARRAY],
]);
const textArray = pg.types.getTypeParser(TEXT_ARRAY);
pg.types.setTypeParser(NAME_ARRAY, textArray);
pg.types.setTypeParser(TIMESTAMPTZ_ARRAY, (text) => textArray(text).map((item) => item && item.split("+")[0]));

class Client extends pg.Client {
  async query(...request) {
    const result = await super.query(...request);
    for (const field of result.fields) field.dataTypeID = READ_AS.get(field.dataTypeID) ?? field.dataTypeID;
    return result;
  }
}

/** A pool with Prisma's own timeout, and connections set aside for interactive transactions. */
class Pool extends pg.Pool {
  #reserved = [];
  #waitMillis;

  constructor({ connection, pool: { waitMillis, ...limits } }) {
    super({ ...connection, ...limits, Client });
    this.#waitMillis = waitMillis;
    // A connection that the server ends is replaced at the next use; without a listener Node would end this process.
    this.on("error", () => {});
    this.on("connect", (client) => client.on("error", () => {}));
  }

  // The engine gives up on a connection after the transaction's max_wait and would leave the one that arrives later
  // checked out for ever. So the wait happens here, where it can be called off.
  async reserve(maxWaitMillis) {
    const client = await this.#acquire(maxWaitMillis);
    this.#reserved.push(client);
    return client;
  }

  unreserve(client) {
    const index = this.#reserved.indexOf(client);
    if (index >= 0) this.#reserved.splice(index, 1)[0].release();
  }

  /** A connection for a transaction. */
  async connect() {
    return this.#reserved.shift() ?? this.#acquire(this.#waitMillis);
  }

  /** One statement outside any transaction. */
  async query(...request) {
    const client = await this.#acquire(this.#waitMillis);
    try {
      return await client.query(...request);
    } finally {
      client.release();
    }
  }

  async #acquire(millis) {
    const connecting = super.connect();
    let timer;
    const timeout = new Promise((_, reject) => {
      if (millis) timer = setTimeout(() => reject(this.#timeout(millis / 1000)), millis);
    });
    try {
      return await Promise.race([connecting, timeout]);
    } catch (error) {
      connecting.then(
        (client) => client.release(),
        () => {},
      ); // it may still arrive
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #timeout(seconds) {
    const meta = { timeout: seconds, connection_limit: this.options.max };
    const limits = `(Current connection pool timeout: ${seconds}, connection limit: ${this.options.max})`;
    return new PrismaError("P2024", `Timed out fetching a new connection from the connection pool. ${limits}`, meta);
  }
}

function loadEngine(datamodel, adapter) {
  const runtime = require("@prisma/client/runtime/query_engine_bg.postgresql.js");
  const wasm = new WebAssembly.Module(
    readFileSync(require.resolve("@prisma/client/runtime/query_engine_bg.postgresql.wasm")),
  );
  runtime.__wbg_set_wasm(new WebAssembly.Instance(wasm, { "./query_engine_bg.js": runtime }).exports);
  const options = { datamodel, logLevel: "error", logQueries: false, engineProtocol: "json", env: {}, configDir: "." };
  return new runtime.QueryEngine(options, () => {}, adapter);
}

const userFacing = (error) => ({ is_panic: false, message: error.message, meta: error.meta, error_code: error.code });

class Service {
  #engine;
  #pool;
  #registry;
  #target;
  #translator;

  constructor(engine, pool, registry, target, translator) {
    this.#engine = engine;
    this.#pool = pool;
    this.#registry = registry;
    this.#target = target;
    this.#translator = translator;
  }

  static async start(datamodel, url) {
    const settings = await settleConnection(pg.Client, readDatabaseUrl(url));
    const pool = new Pool(settings);
    const bound = bindAdapter(new PrismaPg(pool, { schema: settings.schema }));
    const engine = loadEngine(datamodel, bound);
    await engine.connect(TRACE);
    return new Service(engine, pool, bound.errorRegistry, settings.target, new Translator(datamodel));
  }

  async stop() {
    await this.#engine.disconnect(TRACE);
    await this.#pool.end();
  }

  metrics() {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    const gauge = (key, amount, description) => ({ key, labels: {}, value: amount, description });
    return {
      counters: [],
      gauges: [
        gauge("prisma_pool_connections_open", totalCount, "Number of currently open Pool Connections"),
        gauge("prisma_pool_connections_busy", totalCount - idleCount, "Number of currently busy Pool Connections"),
        gauge("prisma_pool_connections_idle", idleCount, "Number of currently unused Pool Connections"),
        gauge("prisma_client_queries_wait", waitingCount, "Number of Prisma Client queries waiting for a connection"),
      ],
      histograms: [],
    };
  }

  async query(body, transaction) {
    const { batch, transaction: atomic, query } = body;
    const queries = (batch ? batch.map((item) => item.query) : [query]).map((text) =>
      this.#translator.toJsonProtocol(text),
    );
    const request = batch
      ? { batch: queries.map((item) => item.query), transaction: atomic ? {} : undefined }
      : queries[0].query;
    const answer = this.#mended(JSON.parse(await this.#engine.query(JSON.stringify(request), TRACE, transaction)));
    if (answer.errors || !batch) return toGraphql(answer, queries[0]);
    return { batchResult: answer.batchResult.map((item, index) => toGraphql(this.#mended(item), queries[index])) };
  }

  async startTransaction({ max_wait = DEFAULT_MAX_WAIT_MILLIS, ...options }) {
    let client;
    try {
      client = await this.#pool.reserve(max_wait);
    } catch (error) {
      if (error.code !== "P2024") throw error;
      const text = "Unable to start a transaction in the given time.";
      throw new PrismaError("P2028", `Transaction API error: ${text}`, { error: text });
    }
    try {
      return this.#settled(await this.#engine.startTransaction(JSON.stringify({ max_wait, ...options }), TRACE));
    } catch (error) {
      this.#pool.unreserve(client);
      throw error;
    }
  }

  async endTransaction(id, end) {
    const engine = this.#engine;
    return this.#settled(
      await (end === "commit" ? engine.commitTransaction(id, TRACE) : engine.rollbackTransaction(id, TRACE)),
    );
  }

  // The transaction calls answer with the error itself instead of raising it.
  #settled(text) {
    const answer = JSON.parse(text);
    if (!answer.error_code) return answer;
    const { user_facing_error: known } = this.#known({ user_facing_error: answer });
    throw new PrismaError(known.error_code, known.message, known.meta);
  }

  #mended(answer) {
    return answer.errors ? { ...answer, errors: answer.errors.map((error) => this.#known(error)) } : answer;
  }

  // P2036 only says which exception of the adapter stopped the engine; the native engine names the cause.
  #known(error) {
    const facing = error.user_facing_error ?? {};
    if (facing.error_code !== "P2036") return error;
    const cause = this.#registry.consumeError(facing.meta.id)?.error;
    delete this.#registry.registeredErrors[facing.meta.id];
    const known = connectionError(cause ?? new Error("unknown"), this.#target);
    if (known) return { ...error, error: known.message, user_facing_error: userFacing(known) };
    const message = `Error in the database driver: ${cause?.message}`;
    return { ...error, error: message, user_facing_error: { ...facing, message } };
  }
}

const TRANSACTION_STATUS = [
  [/Unable to start a transaction/, 504],
  [/not found/i, 404],
  [/already closed/i, 422],
];

function statusOf(error) {
  return error.code === "P2028" ? (TRANSACTION_STATUS.find(([text]) => text.test(error.message))?.[1] ?? 500) : 500;
}

async function readJson(request) {
  const chunks = await request.toArray();
  return chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {};
}

function prometheus({ gauges }) {
  return gauges
    .map(({ key, value, description }) => `# HELP ${key} ${description}\n# TYPE ${key} gauge\n${key} ${value}\n`)
    .join("");
}

async function answer(service, request) {
  const { pathname, searchParams } = new URL(request.url, "http://engine");
  if (pathname === "/status") return { status: "ok" };
  if (pathname === "/metrics")
    return searchParams.get("format") === "prometheus" ? prometheus(service.metrics()) : service.metrics();
  if (request.method !== "POST") return undefined;
  if (pathname === "/") return service.query(await readJson(request), request.headers["x-transaction-id"]);
  if (pathname === "/transaction/start") return service.startTransaction(await readJson(request));
  const [, id, end] = /^\/transaction\/([^/]+)\/(commit|rollback)$/.exec(pathname) ?? [];
  return id ? service.endTransaction(id, end) : undefined;
}

function failure(error) {
  if (error instanceof PrismaError) return [statusOf(error), userFacing(error)];
  // The engine raises what it cannot answer as JSON text; anything else is a query that cannot be read.
  return [
    error instanceof SyntaxError ? 400 : 500,
    { is_panic: false, message: error.message, meta: {}, backtrace: null },
  ];
}

function serve(service, port) {
  const server = createServer(async (request, response) => {
    let [status, body] = [200, undefined];
    try {
      body = await answer(service, request);
      if (body === undefined) [status, body] = [404, { message: `no such resource: ${request.method} ${request.url}` }];
    } catch (error) {
      [status, body] = failure(error);
    }
    const text = typeof body === "string" ? body : JSON.stringify(body);
    response
      .writeHead(status, { "content-type": typeof body === "string" ? "text/plain" : "application/json" })
      .end(text);
  });
  server.keepAliveTimeout = 120_000; // beyond the client's own, so that it never meets a connection being closed
  server.listen(port, "127.0.0.1");
  return server;
}

function endWithParent(stop) {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || stop(), 1000).unref();
}

async function main() {
  const { values } = parseArgs({
    options: { port: { type: "string", short: "p" }, version: { type: "boolean" } },
    strict: false,
  });
  if (values.version) return console.log(`query-engine ${enginesVersion}`);
  process.title = "query-engine"; // the name by which LiteLLM's supervisor finds engines that lost their worker
  const service = await Service.start(
    readFileSync(process.env.PRISMA_DML_PATH, "utf8"),
    process.env.DATABASE_URL ?? "",
  );
  const server = serve(service, Number(values.port));
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(0), DRAIN_MILLIS).unref();
    server.close(() => service.stop().finally(() => process.exit(0)));
    server.closeIdleConnections();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  endWithParent(stop);
}

main().catch((error) => {
  const code = error.code ? `${error.code}: ` : "";
  console.error(
    JSON.stringify({ is_panic: false, message: `${code}${error.message}`, error_code: error.code ?? null }),
  );
  process.exitCode = 1;
});
