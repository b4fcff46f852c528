// The native tests of kernel-backend that run in guests, too.
'use strict';
module.exports = ['kb_test', 'kb_raw_test', 'kb_cli_test'];
