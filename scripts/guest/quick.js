// Loaded before each Node program of a guest. Under emulation it costs more to optimize code than that
// wins back: each page that V8 writes has to be translated anew. Without, tests take a third of the
// time.
'use strict';
const v8 = require('node:v8');
for (const flag of ['--liftoff-only', '--no-opt', '--no-maglev'])
  v8.setFlagsFromString(flag);
