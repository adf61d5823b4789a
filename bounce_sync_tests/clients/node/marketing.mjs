// sfmc-sdk against SOAP and REST.
import {client} from './sdk.mjs';
import {give, given, refusal} from './reading.mjs';

const sdk = client();
const token = await sdk.auth.getAccessToken();

const columns = [
  'Client.ID', 'SendID', 'SubscriberKey', 'EventDate', 'EventType', 'BatchID', 'SMTPCode',
  'BounceCategory', 'SMTPReason', 'BounceType',
];
const day = {
  leftOperand: {leftOperand: 'EventDate', operator: 'greaterThanOrEqual', rightOperand: given.from},
  operator: 'AND',
  rightOperand: {leftOperand: 'EventDate', operator: 'lessThan', rightOperand: given.until},
};
const bounces = await sdk.soap.retrieveBulk('BounceEvent', columns, {
  filter: day,
  options: {BatchSize: 2500},
});
const none = await sdk.soap.retrieve('BounceEvent', ['SubscriberKey'], {
  filter: {leftOperand: 'EventDate', operator: 'lessThan', rightOperand: '2020-01-01T00:00:00'},
});
const held = await sdk.soap.retrieveBulk('Subscriber', ['SubscriberKey', 'EmailAddress', 'Status'], {
  filter: {leftOperand: 'Status', operator: 'equals', rightOperand: 'Held'},
});
const some = await sdk.soap.retrieve('Subscriber', ['SubscriberKey', 'Status'], {
  filter: {leftOperand: 'SubscriberKey', operator: 'IN', rightOperand: given.keys},
});
const described = await sdk.soap.describe('Subscriber');

const rowset = `/data/v1/customobjectdata/key/${given.extension}/rowset`;
const rows = await sdk.rest.getBulk(rowset, 50);
const written = await sdk.rest.post(`/hub/v1/dataevents/key:${given.extension}/rowset`, [
  {keys: {SubscriberKey: given.keys[0]}, values: {Note: 'said again'}},
]);
const changed = await sdk.rest.get(`${rowset}?$filter=SubscriberKey%20eq%20'${given.keys[0]}'`);

// Many rows at once are taken, and written in their own time.
const many = Array.from({length: 3000}, (_, n) => ({SubscriberKey: `s${n}`, Note: `many ${n}`}));
const load = `/data/v1/async/dataextensions/key:${given.extension}/rows`;
const accepted = await sdk.rest.put(load, {items: many});
const later = Date.now() + 100000;
let status = await sdk.rest.get(`/data/v1/async/${accepted.requestId}/status`);
while (status.status.requestStatus !== 'Complete' && Date.now() < later) {
  status = await sdk.rest.get(`/data/v1/async/${accepted.requestId}/status`);
}
const grown = await sdk.rest.getBulk(rowset, 2500);

// A query over the bounces, made, started and waited for.
const made = await sdk.soap.create('DataExtension', {
  CustomerKey: 'sdk_target',
  Name: 'SDK target',
  Fields: {
    Field: [
      {
        CustomerKey: 'SubscriberKey', Name: 'SubscriberKey', FieldType: 'Text', MaxLength: 254,
        IsPrimaryKey: true, IsRequired: true,
      },
      {CustomerKey: 'Bounces', Name: 'Bounces', FieldType: 'Number'},
    ],
  },
});
const query = await sdk.rest.post('/automation/v1/queries', {
  name: 'SDK query',
  key: 'sdk_query',
  description: '',
  queryText: 'SELECT SubscriberKey, COUNT(*) AS Bounces FROM _Bounce GROUP BY SubscriberKey',
  targetName: 'SDK target',
  targetKey: 'sdk_target',
  targetUpdateTypeId: 0,
  categoryId: 0,
});
const started = await sdk.rest.post(
  `/automation/v1/queries/${query.queryDefinitionId}/actions/start/`, {},
);
// It isn't running before it began either: what it fills and its end together end the wait.
const target = '/data/v1/customobjectdata/key/sdk_target/rowset?$pageSize=1';
const run = `/automation/v1/queries/${query.queryDefinitionId}/actions/isrunning/`;
let filled, running;
do {
  filled = await sdk.rest.get(target);
  running = await sdk.rest.get(run);
} while ((!filled.count || running.isRunning) && Date.now() < later);

give({
  token: {...token, client_secret: undefined},
  bounces: bounces.Results,
  status: bounces.OverallStatus,
  none: [none.OverallStatus, none.Results ?? null],
  held: held.Results,
  some: some.Results,
  described: described.ObjectDefinition.Properties
    .filter(property => property.IsRetrievable)
    .map(property => property.Name),
  rows: [rows.count, rows.items],
  written,
  changed: changed.items,
  load: [status.status, grown.count, grown.items.length],
  made: [made.OverallStatus, made.Results[0].StatusMessage],
  definition: query,
  started,
  running,
  filled: filled.count,
  refused: {
    secret: await refusal(() => client({client_secret: 'not it'}).auth.getAccessToken()),
    account: await refusal(() => client({account_id: 42}).auth.getAccessToken()),
    property: await refusal(() => sdk.soap.retrieve('BounceEvent', ['BounceReason'])),
    object: await refusal(() => sdk.soap.retrieve('DeliveryProfile', ['Name'])),
    extension: await refusal(() => sdk.rest.get('/data/v1/customobjectdata/key/nothing/rowset')),
    again: await refusal(() => sdk.soap.create('DataExtension', {
      CustomerKey: 'sdk_target', Name: 'SDK target',
      Fields: {Field: [{Name: 'A', FieldType: 'Text', MaxLength: 5}]},
    })),
  },
  // A token that isn't good any more is replaced, once, by both halves of the client.
  renewed: await (async () => {
    const found = [];
    for (const ask of [
      () => sdk.rest.get(`${rowset}?$pageSize=1`),
      () => sdk.soap.retrieve('Subscriber', ['SubscriberKey'], {
        filter: {leftOperand: 'SubscriberKey', operator: 'equals', rightOperand: given.keys[0]},
      }),
    ]) {
      sdk.auth.authObject.access_token = given.expired;
      sdk.rest.options.requestAttempts = sdk.soap.options.requestAttempts = 2;
      const answer = await ask();
      found.push([(answer.items ?? answer.Results).length, sdk.auth.authObject.access_token !== given.expired]);
    }
    return found;
  })(),
});
