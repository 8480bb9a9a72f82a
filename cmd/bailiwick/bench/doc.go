// Package bench measures what the gateway costs: the built binary in a process
// of its own, beside the same upstream without it, and behind
// httputil.ReverseProxy, which decides nothing and is what any proxy written in
// Go pays at least. It holds measurements and no code that anything imports.
//
// The data flow: TestMain builds the binary; the test binary itself is the
// upstream and the reverse proxy when its first argument says so. A
// measurement drives its targets in short slices in turn, so that what else the
// machine does hits all alike, with requests that are built before and read
// without decoding, so that the load is never the bottleneck. CPU is what the
// kernel has counted for each process (/proc/PID/stat), with a pause after each
// slice in which work that was put off, such as writing the audit trail, is done
// and counted.
//
// Nothing here fails because it is slow: the numbers are for people. By default
// the slices are so short that it only shows that everything runs; `make bench`
// measures.
package bench
