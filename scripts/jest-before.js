// Jest's global setup: notes what the kernel has before its tests run; see jest-leaks.js.
'use strict';
const { ids } = require('./jest-ids.js');

module.exports = (_, { roots }) => {
  if (roots.some((folder) => /kernel$/.test(folder)))
    globalThis.idsBefore = ids();
};
