// The example application `examples/nestjs`: installed from the packed package, compiled, started, and driven over HTTP.
//
// The stories are in files of their own, and run here one after the other: the application is installed once for all of them.

import './disk-lost.mjs'
