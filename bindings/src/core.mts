// The CommonJS build again: two copies of a class would break instanceof.
export * from './core.js';
