package upstream

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the child into a process group of its own, and has the kernel
// kill it when the thread that started it ends. The thread is kept for the
// child's whole life by its caller (startChild), so that only the end of this
// process counts.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
