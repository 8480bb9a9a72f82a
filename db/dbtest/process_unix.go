//go:build unix && !linux

package dbtest

import "syscall"

// processAttributes know no parent-death signal here: what is left behind to
// clean up stops the server.
func processAttributes(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true}
}
