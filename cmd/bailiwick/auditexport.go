package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// auditSettles is how long after a time events of before it are still written,
// by servers that reach their database and clocks that are nearly right.
const auditSettles = 2 * time.Second

func (c *cli) auditExport() *cobra.Command {
	var (
		f      auditFlags
		file   string
		format string
		force  bool
	)
	cmd := &cobra.Command{Use: "export", Short: "Write the audit trail to a file, oldest first",
		Long: "Write the audit trail, oldest first: one event per line in JSON, as GET /api/audit\n" +
			"has it, or as CSV with a header. In CSV, a cell that a spreadsheet would take for a\n" +
			"formula begins with ', and control characters are replaced.\n\n" +
			"Without --until it ends now. One that begins where another ended (--since with the\n" +
			"--until of that one) has what that one has not, but for events that a server could\n" +
			"not write in time because it did not reach the database.",
		Example: "  bailiwick audit export --since 24h --output audit.ndjson"}
	f.selects = true
	f.locate(cmd, "BAILIWICK_AUDIT_URL")
	f.sinceFlag(cmd)
	f.untilFlag(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&file, "output", "o", "", "`file` to write, for its owner alone; without one, standard output")
	flags.StringVar(&format, "format", "ndjson", "ndjson or csv")
	flags.BoolVar(&force, "force", false, "replace the file if it is there")
	_ = cmd.MarkFlagFilename("output")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if format != "ndjson" && format != "csv" {
			return &usageError{"--format must be ndjson or csv", "see --help"}
		}
		if file == "json" || file == "table" { // as -o has it everywhere else
			return &usageError{"--output names the file to write, not a format", "for JSON, leave it out or name a file; for a file of this name, write ./" + file}
		}
		return nil
	}
	return c.onTrail(cmd, &f, func(ctx context.Context, ring keyring, q keys.AuditQuery) error {
		now := time.Now()
		if q.Until.IsZero() {
			q.Until = now
		}
		export := func(w io.Writer) (int, error) {
			pause(ctx, min(q.Until.Add(auditSettles).Sub(now), auditSettles))
			return c.exportEvents(ctx, ring, q, eventWriters[format](w))
		}
		if file == "" {
			_, err := export(c.out)
			return err
		}
		return writeWhole(file, force, func(w io.Writer) error {
			n, err := export(w)
			if err == nil {
				fmt.Fprintf(c.errs, "%d events in %s\n", n, file)
			}
			return err
		})
	})
}

// exportEvents writes page by page, and answers how many.
func (c *cli) exportEvents(ctx context.Context, ring keyring, q keys.AuditQuery, w eventWriter) (n int, err error) {
	terminal, ok := c.errs.(*os.File)
	watched := ok && term.IsTerminal(int(terminal.Fd()))
	q.Oldest = true
	told := time.Now()
	for {
		page, err := ring.Events(ctx, q)
		if err != nil {
			return n, err
		}
		for _, e := range page.Events {
			if err := w.write(e); err != nil {
				return n, err
			}
		}
		n += len(page.Events)
		if watched && time.Since(told) > time.Second {
			told = time.Now()
			fmt.Fprintf(c.errs, "\r%d events", n)
		}
		if page.Next == nil {
			break
		}
		q.After = *page.Next
	}
	if watched && n > 0 {
		fmt.Fprint(c.errs, "\r")
	}
	return n, w.end()
}

// pathless is an error without the path of its file, for one that names another.
func pathless(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// writeWhole makes a file, 0600, that is there as a whole or not at all.
func writeWhole(path string, force bool, write func(io.Writer) error) (err error) {
	if err := replaceable(path, force); err != nil {
		return err
	}
	// Its folder, for a name can be changed only within a file system.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".bailiwick-export-*")
	if err != nil {
		return withHint(fmt.Errorf("writing %s: %w", path, pathless(err)), "name a file in a folder that is there and that you may write to")
	}
	defer func() {
		_ = tmp.Close()
		_ = os.Remove(tmp.Name()) // which is gone where all went well
	}()
	buffered := bufio.NewWriter(tmp)
	if err := write(buffered); err != nil {
		return err
	}
	if err := cmp.Or(buffered.Flush(), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	// Somebody may have made it meanwhile.
	if err := replaceable(path, force); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
