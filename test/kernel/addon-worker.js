// A worker thread that uses the addon, for addon.test.ts. It reports the kernel ids that it made and
// stays until it is terminated, with everything open.
'use strict';
const { parentPort, workerData } = require('node:worker_threads');
const { KernelError } = require('./addon-exercise.js');

const addon = require(workerData.addon);
addon.init({ KernelError });

const object = addon.openObject(workerData.bytes);
object.load();
const link = object.program(0).attach();
const map = object.map(0);
let refusals = 0;
for (let i = 0; i < workerData.refusals; i++) {
  try {
    addon.openObject(workerData.refused).load();
  } catch (error) {
    // Each thread gets the log of its own program.
    const own = error.subject === workerData.subject;
    const log = error.log.includes(`r2 = ${workerData.mark}`);
    if (error instanceof KernelError && own && log) refusals++;
  }
}
const report = () =>
  parentPort.postMessage({
    refusals,
    programs: object.programs().map((program) => program.id),
    maps: object.maps().map((each) => each.id),
    links: [link.info().id],
    closed: map.closed,
  });
report();
// To be killed in the middle of something.
while (workerData.endless) {
  const again = addon.openObject(workerData.bytes);
  again.load();
  again.program(0).attach();
  if (refusals++ === 20) report();
}
// What nothing refers to may be collected, and a collected link is closed.
setInterval(() => [object, link, map], 1000);
