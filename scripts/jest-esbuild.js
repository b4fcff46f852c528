// Jest transform: TypeScript to CommonJS with esbuild, with inline source maps.
'use strict';
const { transformSync } = require('esbuild');

module.exports = {
  process(source, sourcefile) {
    return transformSync(source, {
      loader: 'ts',
      format: 'cjs',
      target: 'node20',
      sourcefile,
      sourcemap: 'inline',
    });
  },
};
