// Tells templates apart with the CDK's own library, as `cdk diff` does; ops/diff.py calls it and says what it takes and
// gives: {pairs: [{old, new, deployed, paths}]} or {types: […]}, a line of JSON each on standard input, and a line of
// JSON for each on standard output. What cannot be compared ends it.
import cloudformation from '@aws-cdk/cloudformation-diff';
import serviceSpec from '@aws-cdk/aws-service-spec';
import { createInterface } from 'node:readline';

const { formatDifferences, fullDiff, mangleLikeCloudFormation } = cloudformation;

/** CloudFormation gives back `?` for what is not ASCII: as `cdk diff`, take that for no difference. */
function compare({ old, new: next, deployed }) {
  const difference = fullDiff(old, next);
  const written = JSON.stringify(next);
  const readBack = mangleLikeCloudFormation(written);
  if (!deployed || readBack === written) return difference;
  const mangled = fullDiff(old, JSON.parse(readBack));
  return mangled.differenceCount < difference.differenceCount ? mangled : difference;
}

/** What `cdk diff` prints. */
function text(difference, paths) {
  let written = '';
  formatDifferences({ write: (part) => ((written += part), true) }, difference, paths);
  return written;
}

/** A property that the library's schema does not know, as of custom resources, is "no change" to it. */
const impact = (found) => (found === undefined || found === 'NO_CHANGE' ? 'WILL_UPDATE' : found);

function resource([id, change]) {
  return {
    id,
    type: change.oldResourceType ?? change.newResourceType,
    impact: impact(change.changeImpact),
    properties: Object.fromEntries(
      Object.entries(change.propertyUpdates).map(([name, update]) => [name, impact(update.changeImpact)]),
    ),
    attributes: Object.keys(change.otherChanges),
  };
}

const statement = ({ effect, principals, actions, resources, condition, ...rest }) => ({
  effect,
  principals: targets(principals),
  actions: targets(actions),
  resources: targets(resources),
  condition: condition ?? null,
  // A statement that is one intrinsic, such as Fn::If, is text to the library.
  whole: rest.serializedIntrinsic ?? null,
});
const targets = ({ not, values }) => ({ not, values: values.map(String) });
const rule = (direction) => (one) => ({
  direction,
  group: one.groupId,
  protocol: one.describeProtocol(),
  peer: one.describePeer(),
  cidr: one.peer?.kind === 'cidr-ip' ? one.peer.ip : null,
});
const both = (collection, shape) => ({ added: collection.additions.map(shape), removed: collection.removals.map(shape) });

function permissions({ iamChanges: iam, securityGroupChanges: groups }) {
  const ingress = both(groups.ingress, rule('ingress'));
  const egress = both(groups.egress, rule('egress'));
  return {
    statements: both(iam.statements, statement),
    managed: both(iam.managedPolicies, (one) => ({ identity: one.identityArn, policy: one.managedPolicyArn })),
    rules: { added: [...ingress.added, ...egress.added], removed: [...ingress.removed, ...egress.removed] },
    sign_on: iam.ssoPermissionSets.hasAdditions || iam.ssoAssignments.hasAdditions || iam.ssoInstanceACAConfigs.hasAdditions,
  };
}

function pair(given) {
  const difference = compare(given);
  const sections = ['conditions', 'mappings', 'outputs', 'parameters', 'unknown'];
  return {
    resources: Object.entries(difference.resources.changes).map(resource),
    elsewhere: sections.flatMap((name) => difference[name].logicalIds.map((id) => `${name}.${id}`)),
    permissions: permissions(difference),
    text: difference.isEmpty ? '' : text(difference, given.paths),
  };
}

/** Which properties of a type CloudFormation cannot change in place, and which are the name that no two may have. */
function type(name, database) {
  const [model] = database.lookup('resource', 'cloudFormationType', 'equals', name);
  const replacing = (kind) => Object.entries(model?.properties ?? {}).filter(([, property]) => property.causesReplacement === kind);
  return {
    replacing: replacing('yes').map(([property]) => property),
    may_replace: replacing('maybe').map(([property]) => property),
    name: (model?.primaryIdentifier ?? []).filter((property) => property in (model?.properties ?? {})),
  };
}

function answer({ pairs = [], types = [] }) {
  const database = types.length ? serviceSpec.loadAwsServiceSpecSync() : undefined;
  return {
    pairs: pairs.map(pair),
    types: Object.fromEntries(types.map((name) => [name, type(name, database)])),
  };
}

for await (const question of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(question)))}\n`);
}
