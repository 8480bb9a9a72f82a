//go:build unix

package http1

import "syscall"

const canPeek = true

// quiet tells whether an idle connection is open and nothing came on it: what comes
// unasked is an end, an error, or an answer to nobody.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return true
	}
	var (
		one     [1]byte
		readErr error
	)
	err := c.raw.Read(func(fd uintptr) bool {
		_, readErr = syscall.Read(int(fd), one[:])
		return true
	})
	return err == nil && (readErr == syscall.EAGAIN || readErr == syscall.EWOULDBLOCK)
}
