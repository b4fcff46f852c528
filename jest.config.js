// Jest runs test/js (any machine) and test/kernel (the running kernel, as root). TypeScript tests
// are stripped of their types by esbuild; that they type-check is a step of scripts/test.mjs.
/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test/js', '<rootDir>/test/kernel'],
  testMatch: ['**/*.test.ts', '**/*.test.js'],
  transform: { '\\.ts$': '<rootDir>/scripts/jest-esbuild.js' },
};
