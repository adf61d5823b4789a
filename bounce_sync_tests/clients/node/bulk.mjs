// What it costs sfmc-sdk to read a day's bounces.
import {client} from './sdk.mjs';
import {give, given} from './reading.mjs';

const sdk = client();
await sdk.auth.getAccessToken();
const before = process.memoryUsage().rss;
const began = performance.now(), busy = process.cpuUsage();
const bounces = await sdk.soap.retrieveBulk('BounceEvent', given.properties, {
  filter: {
    leftOperand: {leftOperand: 'EventDate', operator: 'greaterThanOrEqual', rightOperand: given.from},
    operator: 'AND',
    rightOperand: {leftOperand: 'EventDate', operator: 'lessThan', rightOperand: given.until},
  },
  options: {BatchSize: 2500},
});
const cpu = process.cpuUsage(busy), peak = process.resourceUsage().maxRSS * 1024;
give({
  rows: bounces.Results.length,
  seconds: (performance.now() - began) / 1000,
  cpu: (cpu.user + cpu.system) / 1e6,
  memory: peak - before,
});
