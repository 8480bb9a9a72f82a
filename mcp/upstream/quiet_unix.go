//go:build unix

package upstream

import (
	"errors"
	"net"
	"syscall"
)

// quiet tells whether an idle connection is open and nothing has come on it:
// a server that closed it, or that speaks unasked, must not get a request that
// could not be repeated.
func quiet(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		silent = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true // do not wait
	})
	return err == nil && silent
}
