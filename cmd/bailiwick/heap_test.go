package main

import "testing"

func TestHeapGrowth(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         100, // nothing is known yet
		1 << 20:   3100,
		8 << 20:   300,
		16 << 20:  100,
		20 << 20:  100,
		400 << 20: 100,
	} {
		if got := growth(live); got != want {
			t.Errorf("%d bytes in use may grow by %d %%, want %d", live, got, want)
		}
	}
}
