//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Try takes the file's lock, which ends with the process; false means that
// another process holds it.
func Try(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
