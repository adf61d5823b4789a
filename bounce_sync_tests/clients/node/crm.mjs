// jsforce, and its edition for Node alone: both have one interface.
import {give, given, refusal} from './reading.mjs';

const library = await import(given.library);
const {Connection} = library.default ?? library;
const version = '62.0';
const fields = 'Id, LastName, Hard_Bounce__c, Hard_Bounce_Date__c';

const client = {
  loginUrl: given.salesforce_url,
  clientId: given.client_id,
  clientSecret: given.client_secret,
};
const conn = new Connection({oauth2: client, version});
const identity = await conn.authorize({grant_type: 'client_credentials'});

const byPassword = new Connection({oauth2: client, version});
const password = await byPassword.login(given.username, given.password);
const bySoap = new Connection({loginUrl: given.salesforce_url, version: '60.0'});
const soap = await bySoap.login(given.username, given.password);
const wrong = new Connection({loginUrl: given.salesforce_url, version: '60.0'});

// A session that ended is taken up again by the client's own refresh.
let refreshed = 0;
const stale = new Connection({
  instanceUrl: conn.instanceUrl,
  accessToken: `${identity.organizationId}!ended`,
  version,
  refreshFn: async (_, done) => {
    refreshed += 1;
    done(null, conn.accessToken);
  },
});

const paged = [];
await new Promise((done, failed) => {
  conn.query(`SELECT ${fields} FROM Contact ORDER BY LastName`)
    .on('record', one => paged.push(one.LastName))
    .on('end', done)
    .on('error', failed)
    .run({autoFetch: true, maxFetch: 100000});
});
const first = await conn.query(`SELECT Id FROM Contact ORDER BY LastName`);
const second = await conn.queryMore(first.nextRecordsUrl);

const flagged = {Hard_Bounce__c: true, Hard_Bounce_Date__c: '2026-05-04T18:00:00.000Z'};
const [one, two, ...rest] = given.contacts;
const single = await conn.sobject('Contact').update({Id: one, ...flagged});
const after = await conn.sobject('Contact').retrieve(one);
const many = await conn.sobject('Contact').update(
  rest.map(Id => ({Id, ...flagged})),
  {allowRecursive: true, headers: {'Sforce-Auto-Assign': 'FALSE'}},
);
const retrieved = await conn.sobject('Contact').retrieve(rest.slice(0, 300));
const mixed = await conn.sobject('Contact').update([
  {Id: two, Hard_Bounce__c: true},
  {Id: given.unknown, Hard_Bounce__c: true},
]);

conn.bulk2.pollInterval = 50;
conn.bulk2.pollTimeout = 60000;
const loaded = await conn.bulk2.loadAndWaitForResults({
  object: 'Contact',
  operation: 'update',
  input: [
    {Id: one, Hard_Bounce__c: false, Hard_Bounce_Date__c: null},
    {Id: given.unknown, Hard_Bounce__c: true, Hard_Bounce_Date__c: null},
  ],
});
const bulkRecords = await (
  await conn.bulk2.query(`SELECT Id, LastName, Hard_Bounce__c FROM Contact`)
).toArray();

const describe = await conn.sobject('Contact').describe();
const everything = await conn.describeGlobal();

const left = new Connection({instanceUrl: conn.instanceUrl, accessToken: byPassword.accessToken, version});
await byPassword.logout();

give({
  identity,
  password,
  soap,
  userInfo: await conn.identity(),
  wrong: await refusal(() => wrong.login(given.username, 'not it')),
  versions: (await conn.request('/services/data')).map(one => one.version),
  refreshed: [(await stale.query('SELECT Id FROM Contact LIMIT 1')).totalSize, refreshed],
  limits: (await conn.limits()).DailyApiRequests,
  limitInfo: conn.limitInfo,
  fields: describe.fields.map(field => [field.name, field.type, field.updateable]),
  objects: everything.sobjects.map(object => object.name),
  paged,
  pages: [first.totalSize, first.done, first.records.length, second.done, second.records.length],
  count: (await conn.query('SELECT COUNT() FROM Contact')).totalSize,
  found: await conn.sobject('Contact').find({LastName: {$like: 'Doe 000%'}}, ['Id']).execute(),
  all: (await conn.query('SELECT Id FROM Contact LIMIT 3', {scanAll: true})).totalSize,
  single,
  after,
  many: many.map(({id, success, errors}) => [id, success, errors]),
  retrieved: retrieved.map(record => record.Hard_Bounce__c),
  mixed,
  loaded,
  bulk: bulkRecords.map(record => [record.Id, record.LastName, record.Hard_Bounce__c]),
  refused: {
    field: await refusal(() => conn.query('SELECT Nothing__c FROM Contact')),
    object: await refusal(() => conn.sobject('Nothing__c').retrieve(one)),
    record: await refusal(() => conn.sobject('Contact').retrieve(given.unknown)),
    statement: await refusal(() => conn.query('SELECT FROM')),
    batch: await refusal(() => conn.sobject('Contact').update(
      rest.slice(0, 201).map(Id => ({Id, Hard_Bounce__c: true})),
    )),
  },
  revoked: await refusal(() => left.query('SELECT Id FROM Contact')),
});
