// The commands of the Prisma CLI that LiteLLM's database set-up uses, without Prisma's schema engine: that one is a
// native program, downloaded from a host of its own. Ledger and messages are Prisma's, since LiteLLM reads both.
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import pg from "pg";

import { connectionError, PrismaError, readDatabaseUrl, settleConnection } from "./database.mjs";

const ADVISORY_LOCK = 72707369; // Prisma's, so that a real CLI and this one exclude each other
const LOCK_WAIT_MILLIS = 10_000;
const HELP =
  "Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve";
const LEDGER = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`;

const prismaVersion = createRequire(import.meta.url)("prisma/package.json").version;

/** The migrations beside the schema, in the order of their names: `{ name, sql, checksum }`. */
function readMigrations(schemaFile) {
  const folder = join(dirname(schemaFile), "migrations");
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return names
    .filter((name) => existsSync(join(folder, name, "migration.sql")))
    .map((name) => {
      const sql = readFileSync(join(folder, name, "migration.sql"));
      return { name, sql: sql.toString(), checksum: createHash("sha256").update(sql).digest("hex") };
    });
}

async function connect() {
  const settings = await settleConnection(pg.Client, readDatabaseUrl(process.env.DATABASE_URL ?? ""));
  const client = new pg.Client(settings.connection);
  client.on("error", () => {});
  await client.connect();
  return { client, settings };
}

async function lock(client) {
  await client.query(`SET lock_timeout = ${LOCK_WAIT_MILLIS}`);
  try {
    await client.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
  } catch (error) {
    if (error.code !== "55P03") throw error;
    const text = `Timed out trying to acquire a postgres advisory lock (SELECT pg_advisory_lock(${ADVISORY_LOCK})).`;
    throw new PrismaError(
      "P1002",
      `The database server was reached but timed out.\n\nContext: ${text} Timeout: ${LOCK_WAIT_MILLIS}ms.`,
    );
  }
  await client.query("RESET lock_timeout");
}

async function ledgerOf(client) {
  const { rows } = await client.query("SELECT to_regclass('_prisma_migrations') AS ledger");
  if (!rows[0].ledger) return undefined;
  return (await client.query("SELECT * FROM _prisma_migrations ORDER BY started_at")).rows;
}

async function refuseUnknownSchema(client, schema) {
  const { rows } = await client.query("SELECT 1 FROM information_schema.tables WHERE table_schema = $1 LIMIT 1", [
    schema,
  ]);
  if (rows.length) {
    throw new PrismaError(
      "P3005",
      "The database schema is not empty. Read more about how to baseline an existing production database: " +
        "https://pris.ly/d/migrate-baseline",
    );
  }
}

const failed = (row) => !row.finished_at && !row.rolled_back_at;
const applied = (row) => row.finished_at && !row.rolled_back_at;
const utc = (date) => `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;

function refuseFailed(rows) {
  const lines = rows
    .filter(failed)
    .map((row) => `The \`${row.migration_name}\` migration started at ${utc(row.started_at)} failed`);
  if (!lines.length) return;
  const text = "migrate found failed migrations in the target database, new migrations will not be applied.";
  throw new PrismaError("P3009", `${text} ${HELP}\n${lines.join("\n")}`);
}

const databaseError = (error) =>
  [
    `${error.severity ?? "ERROR"}: ${error.message}`,
    error.detail && `DETAIL: ${error.detail}`,
    error.hint && `HINT: ${error.hint}`,
    error.position && `Position: ${error.position}`,
  ]
    .filter(Boolean)
    .join("\n");

async function apply(client, { name, sql, checksum }) {
  const id = randomUUID();
  await client.query("INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) VALUES ($1, $2, $3, '')", [
    id,
    checksum,
    name,
  ]);
  try {
    await client.query(sql);
  } catch (error) {
    const lines = [
      `Migration name: ${name}`,
      `Database error code: ${error.code}`,
      `Database error:\n${databaseError(error)}`,
    ];
    await client.query("ROLLBACK");
    await client.query("UPDATE _prisma_migrations SET logs = $2 WHERE id = $1", [id, lines.join("\n\n")]);
    const text = "A migration failed to apply. New migrations cannot be applied before the error is recovered from.";
    throw new PrismaError("P3018", [`${text} ${HELP}`, ...lines].join("\n\n"));
  }
  // A migration may leave the session's settings changed (Prisma's own dump style clears search_path).
  await client.query("RESET ALL");
  await client.query("UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = 1 WHERE id = $1", [id]);
}

async function deploy({ client, settings }, migrations) {
  await lock(client);
  const rows = await ledgerOf(client);
  if (!rows) {
    await refuseUnknownSchema(client, settings.schema);
    await client.query(LEDGER);
  }
  refuseFailed(rows ?? []);
  const done = new Set((rows ?? []).filter(applied).map((row) => row.migration_name));
  const pending = migrations.filter(({ name }) => !done.has(name));
  console.log(`${migrations.length} migrations found in prisma/migrations\n`);
  for (const migration of pending) {
    console.log(`Applying migration \`${migration.name}\``);
    await apply(client, migration);
  }
  console.log(
    pending.length ? "\nAll migrations have been successfully applied." : "\nNo pending migrations to apply.",
  );
}

async function status({ client }, migrations) {
  const rows = (await ledgerOf(client)) ?? [];
  refuseFailed(rows);
  const done = new Set(rows.filter(applied).map((row) => row.migration_name));
  const pending = migrations.filter(({ name }) => !done.has(name)).map(({ name }) => name);
  console.log(`${migrations.length} migrations found in prisma/migrations\n`);
  console.log(
    pending.length
      ? `Following migrations have not yet been applied:\n${pending.join("\n")}`
      : "Database schema is up to date!",
  );
  process.exitCode = pending.length ? 1 : 0;
}

async function markRolledBack(client, name) {
  const rows = ((await ledgerOf(client)) ?? []).filter((row) => row.migration_name === name);
  if (!rows.length)
    throw new PrismaError(
      "P3011",
      `Migration \`${name}\` cannot be rolled back because it was never applied to the database.`,
    );
  if (!rows.some(failed))
    throw new PrismaError("P3012", `Migration \`${name}\` cannot be rolled back because it is not in a failed state.`);
  await client.query(
    "UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = $1 AND finished_at IS NULL",
    [name],
  );
  console.log(`Migration ${name} marked as rolled back.`);
}

async function markApplied(client, name, migrations) {
  const migration = migrations.find((item) => item.name === name);
  if (!migration)
    throw new PrismaError(
      "P3017",
      `The migration ${name} could not be found. Please make sure that the migration exists, ` +
        "and that you included the whole name of the directory.",
    );
  await client.query(LEDGER);
  const rows = (await ledgerOf(client)).filter((row) => row.migration_name === name);
  if (rows.some(applied))
    throw new PrismaError("P3008", `The migration \`${name}\` is already recorded as applied in the database.`);
  await client.query(
    "UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = $1 AND rolled_back_at IS NULL",
    [name],
  );
  await client.query(
    "INSERT INTO _prisma_migrations (id, checksum, migration_name, logs, finished_at) VALUES ($1, $2, $3, '', now())",
    [randomUUID(), migration.checksum, name],
  );
  console.log(`Migration ${name} marked as applied.`);
}

async function resolveMigration({ client }, migrations, options) {
  await lock(client);
  if (options["rolled-back"]) return markRolledBack(client, options["rolled-back"]);
  if (options.applied) return markApplied(client, options.applied, migrations);
  throw new PrismaError("", "migrate resolve needs --applied NAME or --rolled-back NAME.");
}

async function execute({ client }, _migrations, options) {
  await client.query(readFileSync(options.stdin ? 0 : options.file, "utf8"));
  console.log("Script executed successfully.");
}

const COMMANDS = {
  "migrate deploy": deploy,
  "migrate status": status,
  "migrate resolve": resolveMigration,
  "db execute": execute,
};

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      version: { type: "boolean", short: "v" },
      schema: { type: "string" },
      applied: { type: "string" },
      "rolled-back": { type: "string" },
      file: { type: "string" },
      stdin: { type: "boolean" },
    },
    strict: false,
  });
  if (values.version) return console.log(`prisma : ${prismaVersion}`);
  const name = positionals.slice(0, 2).join(" ");
  const command = COMMANDS[name];
  if (!command)
    throw new PrismaError("", `prisma ${name} needs Prisma's schema engine, which cannot be downloaded here: skipped.`);
  const schemaFile = resolve(values.schema ?? (existsSync("schema.prisma") ? "schema.prisma" : "prisma/schema.prisma"));
  const database = await connect();
  const { host, port, database: title } = database.settings.target;
  console.log(
    `Datasource "client": PostgreSQL database "${title}", schema "${database.settings.schema}" at "${host}:${port}"\n`,
  );
  try {
    await command(database, readMigrations(schemaFile), values);
  } catch (error) {
    throw connectionError(error, database.settings.target) ?? error;
  } finally {
    await database.client.end();
  }
}

main().catch((error) => {
  console.error(`Error: ${error.code ? `${error.code}\n\n` : ""}${error.message}`);
  process.exitCode = 1;
});
