// DATABASE_URL as Prisma's own engines read it: https://www.prisma.io/docs/orm/overview/databases/postgresql
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

const FIRST_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/;

/** An error of Prisma's catalogue: https://www.prisma.io/docs/orm/reference/error-reference */
export class PrismaError extends Error {
  constructor(code, message, meta = {}) {
    super(message);
    this.code = code;
    this.meta = meta;
  }
}

function parse(text) {
  try {
    const url = new URL(text);
    if (!["postgres:", "postgresql:"].includes(url.protocol)) throw new TypeError();
    return {
      url,
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
    };
  } catch {
    throw new PrismaError("P1013", "DATABASE_URL is not valid: it must be a postgresql:// URL, its parts URL-encoded.");
  }
}

// Without `strict`, Prisma encrypts and verifies nothing. It reads one certificate of the file, so that a bundle of
// several CAs verifies with the first one only.
function tls(parameters, host) {
  const verify = (parameters.get("sslaccept") ?? "accept_invalid_certs") !== "accept_invalid_certs";
  const file = parameters.get("sslcert");
  if (!file) return { host, rejectUnauthorized: verify };
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new PrismaError("P1011", `Error opening a TLS connection: sslcert ${file} cannot be read (${error.code}).`);
  }
  const certificate = FIRST_CERTIFICATE.exec(text)?.[0];
  if (!certificate)
    throw new PrismaError("P1011", `Error opening a TLS connection: no certificate in sslcert ${file}.`);
  return { host, rejectUnauthorized: verify, ca: certificate };
}

/**
 * What `pg` needs for a Prisma database URL.
 *
 * Returns `{ target, connection, sslmode, schema, pool }`: `target` names the database in messages, `connection` opens
 * one connection, `pool` holds what a pool needs besides. Times in the URL are seconds, in `connection` and `pool`
 * milliseconds; 0 means without a limit. The defaults are Prisma's: 2 × CPUs + 1 connections, 10 s to wait for one,
 * 5 s to make one, 300 s before an idle one is closed.
 */
export function readDatabaseUrl(text) {
  const { url, user, password, database } = parse(text);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || 5432);
  const seconds = (name, otherwise) => Number(url.searchParams.get(name) ?? otherwise) * 1000;
  const given = url.searchParams.get("sslmode");
  const sslmode = ["disable", "require"].includes(given) ? given : "prefer";
  const schema = url.searchParams.get("schema") ?? "public";
  const options = [url.searchParams.get("options"), `-c search_path="${schema}"`, "-c TimeZone=UTC"];
  return {
    target: { host, port, database, user },
    sslmode,
    schema,
    connection: {
      host,
      port,
      user,
      password,
      database,
      ssl: sslmode === "disable" ? false : tls(url.searchParams, host),
      connectionTimeoutMillis: seconds("connect_timeout", 5),
      query_timeout: seconds("socket_timeout", 0) || undefined,
      application_name: url.searchParams.get("application_name") ?? undefined,
      options: options.filter(Boolean).join(" "),
    },
    pool: {
      max: Number(url.searchParams.get("connection_limit") ?? cpus().length * 2 + 1),
      waitMillis: seconds("pool_timeout", 10),
      idleTimeoutMillis: seconds("max_idle_connection_lifetime", 300),
      maxLifetimeSeconds: seconds("max_connection_lifetime", 0) / 1000,
    },
  };
}

/**
 * Make sure that the database can be reached; `sslmode=prefer` falls back to plain text here.
 *
 * `Client` is the class of `pg`. Returns the settings that worked, raises PrismaError.
 */
export async function settleConnection(Client, settings) {
  const client = new Client(settings.connection);
  client.on("error", () => {});
  try {
    await client.connect();
    return settings;
  } catch (error) {
    if (settings.sslmode === "prefer" && /does not support SSL/.test(error.message)) {
      const plain = { ...settings, sslmode: "disable", connection: { ...settings.connection, ssl: false } };
      return settleConnection(Client, plain);
    }
    throw connectionError(error, settings.target) ?? error;
  } finally {
    await client.end().catch(() => {});
  }
}

const UNREACHABLE = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT"]);
const CLOSED = new Set(["ECONNRESET", "EPIPE", "57P01", "57P02", "57P03"]);

/** The Prisma error for a failed connection, or undefined for an error of another kind. */
export function connectionError(error, { host, port, database, user }) {
  if (error instanceof PrismaError) return error;
  const { code = "" } = error;
  const message = error.severity ? "" : error.message; // what the server says is told by its code
  if (UNREACHABLE.has(code) || /timeout expired|connection timeout/i.test(message)) {
    const meta = { database_host: host, database_port: port };
    return new PrismaError("P1001", `Can't reach database server at \`${host}:${port}\``, meta);
  }
  if (/query read timeout/i.test(message)) {
    return new PrismaError("P1008", "Operations timed out: the database did not answer within socket_timeout.");
  }
  if (code === "28P01" || code === "28000") {
    const refused = `the provided database credentials for \`${user}\` are not valid.`;
    const text = `Authentication failed against database server at \`${host}\`, ${refused}`;
    const reason = code === "28000" ? ` ${error.message}` : ""; // such as: no encryption
    return new PrismaError("P1000", text + reason, { database_user: user, database_host: host });
  }
  if (code === "3D000") {
    const meta = { database_name: database, database_host: host, database_port: port };
    return new PrismaError(
      "P1003",
      `Database \`${database}\` does not exist on the database server at \`${host}:${port}\`.`,
      meta,
    );
  }
  if (CLOSED.has(code) || /connection terminated|connection error|not queryable/i.test(message)) {
    return new PrismaError("P1017", "Server has closed the connection.");
  }
  if (/SSL|TLS|certificate|altnames|self.signed/i.test(`${code} ${message}`)) {
    return new PrismaError("P1011", `Error opening a TLS connection: ${message}`, { message });
  }
  return undefined;
}
