package upstream

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// inherited are the variables of this process that a child gets. It is a list of
// what is needed to find and run programs; nothing else may be on it, because
// this process holds secrets in others. BAILIWICK_INSIDE tells one that is this
// program which stores are served above it, so that it does not start itself.
var inherited = []string{"BAILIWICK_INSIDE", "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ"}

// inheritedWindows are the ones that programs on Windows do not run without.
var inheritedWindows = []string{"APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE",
	"PROGRAMDATA", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE", "WINDIR"}

// environ is the whole environment of a child.
func environ(cfg *Config) []string {
	names := inherited
	if runtime.GOOS == "windows" {
		names = append(names[:len(names):len(names)], inheritedWindows...)
	}
	var env []string
	for _, name := range names {
		_, own := cfg.Env[name]
		value, set := os.LookupEnv(name)
		// A value that begins so is an exported shell function.
		if set && !own && !strings.HasPrefix(value, "()") {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range cfg.Env {
		env = append(env, name+"="+value.Reveal())
	}
	return env
}

// checkCommand refuses what cannot be started at all.
func checkCommand(cfg *Config) error {
	if cfg.Command == "" {
		return errors.New("command is missing")
	}
	for _, s := range append([]string{cfg.Command}, cfg.Args...) {
		if strings.ContainsRune(s, 0) {
			return errors.New("command or args has a NUL byte")
		}
	}
	for name, value := range cfg.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value.Reveal(), 0) {
			return fmt.Errorf("env %q is not a name and value that an environment can hold", printable(name, 40))
		}
	}
	return nil
}

// lookCommand finds the command on the PATH that the child will have.
func lookCommand(cfg *Config) (string, error) {
	path, own := cfg.Env["PATH"]
	if own && !strings.ContainsRune(cfg.Command, filepath.Separator) {
		for _, dir := range filepath.SplitList(path.Reveal()) {
			if !filepath.IsAbs(dir) {
				continue
			}
			if found, err := exec.LookPath(filepath.Join(dir, cfg.Command)); err == nil {
				return found, nil
			}
		}
		return "", fmt.Errorf("%w: command not found: %s", ErrDown, printable(cfg.Command, 100))
	}
	found, err := exec.LookPath(cfg.Command)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("%w: command not found: %s", ErrDown, printable(cfg.Command, 100))
	case err != nil:
		return "", fmt.Errorf("%w: command %s cannot be run: %w", ErrDown, printable(cfg.Command, 100), errors.Unwrap(err))
	}
	return found, nil
}
