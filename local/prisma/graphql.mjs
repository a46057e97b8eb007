// prisma-client-py speaks GraphQL to its engine; the WebAssembly engine takes Prisma's JSON protocol only.
import { Kind, parse } from "graphql";

const READS = "findUnique|findFirst|findMany|aggregate|groupBy";
const WRITES = "createOne|createMany|updateOne|updateMany|deleteOne|deleteMany|upsertOne";
const ACTION = new RegExp(`^(${READS}|${WRITES})(.+?)(OrThrow)?$`);

function integer(text) {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : { $type: "BigInt", value: text };
}

const NULLS = new Set(["DbNull", "JsonNull", "AnyNull"]);
const PLAIN_IN_JSON_FILTER = new Set(["path", "mode", "string_contains", "string_starts_with", "string_ends_with"]);

/** The fields of each model of a Prisma schema: model → field → name of its type. */
export function readModels(schema) {
  const models = new Map();
  for (const [, name, body] of schema.matchAll(/^model (\w+) \{\n(.*?)^\}/gms)) {
    models.set(name, new Map([...body.matchAll(/^ *(\w+) +(\w+)/gm)].map(([, field, type]) => [field, type])));
  }
  return models;
}

/** Translates one client's queries, whose models tell which strings are JSON: only the GraphQL protocol infers that. */
export class Translator {
  #models;

  constructor(schema) {
    this.#models = readModels(schema);
  }

  /**
   * The JSON protocol's query for one GraphQL document of one field.
   *
   * Returns `{ query, key }`: what to send, and the name under which the client looks for the answer.
   */
  toJsonProtocol(document) {
    const operation = parse(document, { noLocation: true }).definitions[0];
    const fields = operation?.kind === Kind.OPERATION_DEFINITION ? operation.selectionSet.selections : [];
    if (fields.length !== 1) throw new SyntaxError("a query must have exactly one field");
    const [field] = fields;
    const name = field.name.value;
    const [, action, modelName, orThrow = ""] = ACTION.exec(name) ?? [null, name];
    const query = this.#nested(field, this.#models.get(modelName));
    return { query: { modelName, action: action + orThrow, query }, key: field.alias?.value ?? name };
  }

  #nested(field, model) {
    const values = (field.arguments ?? []).map((node) => [node.name.value, this.#value(node.value, model)]);
    return { arguments: Object.fromEntries(values), selection: this.#selection(field.selectionSet, model) };
  }

  #selection(set, model) {
    return Object.fromEntries(
      (set?.selections ?? []).map((field) => {
        const name = field.name.value;
        const whole = !field.selectionSet && !field.arguments?.length;
        return [name, whole || this.#nested(field, this.#models.get(model?.get(name)) ?? model)];
      }),
    );
  }

  #value(node, model) {
    if (node.kind === Kind.LIST) return node.values.map((item) => this.#value(item, model));
    if (node.kind !== Kind.OBJECT) return scalar(node);
    return Object.fromEntries(node.fields.map((field) => [field.name.value, this.#fieldValue(field, model)]));
  }

  // What is no field of the model is an operator, such as `create`, `is` or `OR`, around fields of the same model.
  #fieldValue({ name, value }, model) {
    const type = model?.get(name.value);
    return type === "Json" ? json(value) : this.#value(value, this.#models.get(type) ?? model);
  }
}

function scalar(node) {
  if (node.kind === Kind.NULL) return null;
  if (node.kind === Kind.INT) return integer(node.value);
  return node.kind === Kind.FLOAT ? Number(node.value) : node.value;
}

function json(node) {
  if (node.kind === Kind.STRING) return { $type: "Json", value: node.value };
  if (node.kind === Kind.ENUM && NULLS.has(node.value)) return { $type: "Enum", value: node.value };
  if (node.kind === Kind.LIST) return node.values.map(json);
  if (node.kind !== Kind.OBJECT) return scalar(node);
  const filter = ({ name, value }) => [name.value, PLAIN_IN_JSON_FILTER.has(name.value) ? plain(value) : json(value)];
  return Object.fromEntries(node.fields.map(filter));
}

const plain = (node) => (node.kind === Kind.LIST ? node.values.map(plain) : scalar(node));

// A row's cell in a JSON column is text in the JSON protocol and the value itself in the GraphQL one.
function rawRows({ columns, types, rows }) {
  const decode = (cell, type) => {
    if (type === "json" && typeof cell === "string") return JSON.parse(cell);
    return type === "json-array" && Array.isArray(cell) ? cell.map((item) => decode(item, "json")) : cell;
  };
  return { columns, types, rows: rows.map((row) => row.map((cell, index) => decode(cell, types[index]))) };
}

function unwrap(data) {
  if (Array.isArray(data)) return data.map(unwrap);
  if (data === null || typeof data !== "object") return data;
  if ("$type" in data && "value" in data) return data.value;
  return Object.fromEntries(Object.entries(data).map(([key, item]) => [key, unwrap(item)]));
}

/** The GraphQL answer for one of the JSON protocol: typed values become bare ones, under the client's own key. */
export function toGraphql(answer, { query, key }) {
  if (answer.errors) return answer;
  const [data] = Object.values(answer.data);
  const bare = unwrap(data);
  return { data: { [key]: query.action === "queryRaw" ? rawRows(bare) : bare } };
}
