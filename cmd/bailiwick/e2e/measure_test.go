package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkStart is the time from starting the binary on an empty folder
// (SQLite) until it prints `listening on`; at most 150 ms are promised.
func BenchmarkStart(b *testing.B) {
	var starts, slowest time.Duration
	for b.Loop() {
		began := time.Now()
		s := serve(b)
		took := time.Since(began)
		starts, slowest = starts+took, max(slowest, took)
		s.stop(b)
	}
	b.ReportMetric(milliseconds(starts)/float64(b.N), "ms-to-listening")
	b.ReportMetric(milliseconds(slowest), "ms-slowest")
	b.ReportMetric(0, "ns/op") // it would count the stop as well
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkIdleMemory is the resident memory of an idle server without
// upstreams; at most 40 MB are promised.
func BenchmarkIdleMemory(b *testing.B) {
	s := serve(b)
	openSession(b, s.url+"/mcp", s.firstKey)
	for b.Loop() {
		time.Sleep(100 * time.Millisecond)
	}
	b.ReportMetric(residentMB(b, s.cmd.Process.Pid), "MB-resident")
	b.ReportMetric(0, "ns/op")
}

func residentMB(b testing.TB, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kilobytes); n == 1 {
			return kilobytes / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
