//go:build !unix

package upstream

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd)      {}
func endGroup(p *os.Process)  {}
func killGroup(p *os.Process) { _ = p.Kill() }
