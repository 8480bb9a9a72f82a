package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/store"
)

// verdict is what was found of one chain, as JSON.
type verdict struct {
	TenantID  string  `json:"tenantId"`
	Writer    *string `json:"writer"` // null = entries from before there were chains
	Rows      int64   `json:"rows"`
	First     int64   `json:"first"`
	Last      int64   `json:"last"`
	Cut       int64   `json:"cut"`
	Signature string  `json:"signature"` // valid, unchecked, invalid, none
	OK        bool    `json:"ok"`
	Problem   *string `json:"problem"`
}

func (c *cli) auditVerify() *cobra.Command {
	var (
		f            storeFlags
		tenant, file string
	)
	flags := func(cmd *cobra.Command) {
		f.flags(cmd)
		cmd.Flags().StringVar(&tenant, "tenant", "", "only this `tenant`'s trail, by id or slug")
		cmd.Flags().StringVar(&file, "file", "", "`file` of exported events, one JSON object a line, in place of a store; - reads standard input")
		cmd.Long = "Check that no audit event was changed, removed or added: in the store, or in a\n" +
			"file of exported events, for which nothing else is needed. Exit code 1 and the\n" +
			"first event that is wrong, if one is.\n\n" +
			"Whoever has the root secret at hand also checks that the ends of the chains are\n" +
			"signed by it; without, SIGNED says \"unchecked\"."
	}
	return command("verify", "Check that the audit trail is as it was written", exactly(), flags, func(cmd *cobra.Command, out *output) action {
		return func(ctx context.Context, _ []string) error {
			var verdicts []keys.AuditVerdict
			var err error
			if file != "" {
				if cmd.Flags().Changed("tenant") {
					return &usageError{"--tenant does not go with --file", "an exported event says which tenant's it is"}
				}
				verdicts, err = verifyFile(c, file)
			} else {
				verdicts, err = f.verify(ctx, c, tenant)
			}
			if err != nil {
				return err
			}
			return writeVerdicts(c, out, verdicts, file != "")
		}
	})
}

// verify checks the trail in the store, as it is: without a Service, which
// needs the root secret.
func (f *storeFlags) verify(ctx context.Context, c *cli, tenant string) (all []keys.AuditVerdict, err error) {
	if err := errors.Join(f.check(), f.place().Exists()); err != nil {
		return nil, err
	}
	where, err := f.config(c)
	if err != nil {
		return nil, err
	}
	database, err := db.Open(ctx, where.Database())
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	signer, err := signerOf(ctx, where, database)
	if err != nil {
		return nil, err
	}
	tenants, err := keys.AuditTenants(ctx, database)
	if err == nil && tenant != "" {
		err = database.Read(ctx, func(r keys.Reader) error {
			one, err := r.Tenant(ctx, tenant)
			tenants = []string{one.ID}
			return absent(err, "tenant", tenant)
		})
	}
	if err != nil {
		return nil, err
	}
	for _, id := range tenants {
		verdicts, err := keys.VerifyAudit(ctx, database, signer, id)
		if err != nil {
			return nil, err
		}
		all = append(all, verdicts...)
	}
	return all, nil
}

// signerOf is that of the root secret; nil where none is given nor in the data folder.
func signerOf(ctx context.Context, where store.Config, s keys.Store) (*keys.AuditSigner, error) {
	if !where.SecretGiven() {
		return nil, nil
	}
	root, err := where.RootSecret(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := keys.CheckSecret(ctx, s, root); err != nil {
		return nil, err
	}
	return keys.NewAuditSigner(root)
}

// verifyFile checks exported events, in whichever order they are.
func verifyFile(c *cli, path string) ([]keys.AuditVerdict, error) {
	from := c.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, withHint(fmt.Errorf("reading exported events: %w", err), "make such a file with bailiwick audit export --output FILE; - reads standard input")
		}
		defer file.Close()
		from = file
	}
	checker, before := keys.NewAuditChecker(), map[string]int64{}
	decoder := json.NewDecoder(from)
	for n := 1; ; n++ {
		var event wire.AuditEvent
		err := decoder.Decode(&event)
		if errors.Is(err, io.EOF) && n > 1 {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s holds no events, so nothing was checked", path)
		}
		if err != nil {
			return nil, withHint(fmt.Errorf("event %d of %s can't be read: %w", n, path, err), "the file must hold one event of GET /api/audit a line")
		}
		e := event.Entry()
		switch {
		case e.ID == "" || e.TenantID == "":
			return nil, withHint(fmt.Errorf("event %d of %s has no id or tenantId", n, path), "the file must hold one event of GET /api/audit a line")
		case !e.Chained():
			before[e.TenantID]++
		default:
			if err := checker.Add(e); err != nil {
				return nil, withHint(err, "export the whole trail, without a filter")
			}
		}
	}
	verdicts := checker.Verdicts()
	for tenant, rows := range before {
		verdicts = append(verdicts, keys.AuditVerdict{TenantID: tenant, Rows: rows})
	}
	return verdicts, nil
}

func writeVerdicts(c *cli, out *output, verdicts []keys.AuditVerdict, file bool) error {
	list, rows := []verdict{}, []row{}
	broken := 0
	var first keys.AuditVerdict
	for _, v := range verdicts {
		one := verdict{TenantID: v.TenantID, Rows: v.Rows, First: v.First, Last: v.Last, Cut: v.Cut, Signature: v.Signature, OK: v.Problem == ""}
		if one.Signature == "" {
			one.Signature = "none"
		}
		name, said := "(in no chain)", "ok"
		if v.Writer != "" {
			one.Writer, name = &v.Writer, v.Writer
		} else if one.OK {
			said = "not protected"
		}
		if v.Problem != "" {
			if broken++; broken == 1 {
				first = v
			}
			one.Problem, said = &v.Problem, "BROKEN: "+v.Problem
		} else if file && v.First > 1 {
			said = fmt.Sprintf("ok from %d on", v.First+1)
		}
		list = append(list, one)
		rows = append(rows, row{v.TenantID, name, fmt.Sprint(v.Rows), number(v.First), number(v.Last), one.Signature, said})
	}
	err := out.write(c.out, map[string]any{"ok": broken == 0, "chains": list},
		row{"TENANT", "WRITER", "EVENTS", "FIRST", "LAST", "SIGNED", "VERDICT"}, rows)
	if err != nil || broken == 0 {
		return err
	}
	return withHint(fmt.Errorf("%d of %d chains of the audit trail are not as they were written; tenant %s, writer %s: %s",
		broken, len(list), first.TenantID, printable(first.Writer), first.Problem),
		"compare with a backup or an export; docs/audit.md says what each finding means")
}

func number(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
