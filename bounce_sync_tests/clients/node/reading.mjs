// What a script is given (JSON on standard input) and what it gives back (JSON on standard output).
import {readFileSync} from 'node:fs';

export const given = JSON.parse(readFileSync(0, 'utf8'));

// Ends the script: a client may hold idle connections open for as long as the service lets it.
export function give(found) {
  process.stdout.write(JSON.stringify(found), () => process.exit());
}

// The error that something ends with, as the client shows it.
export async function refusal(asked) {
  try {
    await asked();
  } catch (error) {
    return {name: error.name, code: error.errorCode ?? error.code, message: error.message};
  }
  throw new Error('nothing was refused');
}
