//go:build !unix

package http1

const canPeek = false

func (c *conn) quiet() bool { return true }
