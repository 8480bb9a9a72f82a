package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is to what size the heap may grow before it is collected, however
// little of it is in use. Most of what a request allocates is garbage when it is
// answered, and beside a few megabytes of keys and tools Go would collect some
// ten times as often, at a tenth of all CPU.
const heapFloor = 32 << 20

// sizeHeap keeps to the floor from now on: after each collection it sets how
// much may be allocated until the next, at least as much as is in use (Go's own
// rule). Who sets GOGC has decided otherwise.
func sizeHeap() {
	if os.Getenv("GOGC") == "" {
		(&collected{percent: 100}).look()
	}
}

// collected sees each collection: it is garbage that comes back.
type collected struct{ percent int }

func (c *collected) look() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := growth(live[0].Value.Uint64())
	if percent != c.percent { // it stops the world for a moment
		debug.SetGCPercent(percent)
	}
	c.percent = percent
	runtime.SetFinalizer(c, (*collected).look)
}

// growth is by how many percent a heap with so many bytes in use may grow: to
// the floor, and by as much as is in use. Before the first collection none are.
func growth(live uint64) int {
	if live == 0 {
		return 100
	}
	return max(100, int(heapFloor*100/live)-100)
}
