// Which of the SOQL statements on standard input can be read, says soql-parser-js.
const { readFileSync } = require('node:fs');
const { isQueryValid } = require('@jetstreamapp/soql-parser-js');

const statements = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(statements.map((statement) => isQueryValid(statement))));
