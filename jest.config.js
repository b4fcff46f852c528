// Jest runs test/js (any machine), test/kernel (the running kernel, as root) and test/e2e
// (Chromium) on what `npm run build` left in dist, so tests see what users get. TypeScript tests
// are stripped of their types by esbuild; that they type-check is a step of scripts/test.mjs.
/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test/js', '<rootDir>/test/kernel'],
  testMatch: ['**/*.test.ts', '**/*.test.js'],
  transform: { '\\.ts$': '<rootDir>/scripts/jest-esbuild.js' },
  moduleNameMapper: {
    '^bpf$': '<rootDir>/dist/bindings/src/index.js',
    '^bpf/core$': '<rootDir>/dist/bindings/src/core.js',
  },
  globalSetup: '<rootDir>/scripts/jest-before.js',
  globalTeardown: '<rootDir>/scripts/jest-leaks.js',
  testTimeout: 60_000,
};
