// Asks PostgreSQL for the benchmark: SQL on standard input, the rows of its last statement as JSON on standard output.
// Where it is stands in the variables that libpq has for it: PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD; and the
// certificate of its CA in the file PGSSLROOTCERT.
import { readFileSync } from "node:fs";
import pg from "pg";

const client = new pg.Client({ ssl: { ca: readFileSync(process.env.PGSSLROOTCERT) } });
try {
  await client.connect();
  const results = [await client.query(readFileSync(0, "utf8"))].flat();
  console.log(JSON.stringify(results.at(-1).rows));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await client.end().catch(() => {});
}
