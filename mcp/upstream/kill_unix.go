//go:build unix

package upstream

import (
	"os"
	"syscall"
)

// endGroup asks the child's group to end; killGroup ends it.
func endGroup(p *os.Process)  { _ = syscall.Kill(-p.Pid, syscall.SIGTERM) }
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
