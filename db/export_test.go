package db

import (
	"context"
	"reflect"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Overhear lets a hook see every statement.
func (d *DB) Overhear(hook bun.QueryHook) {
	d.write = d.write.WithQueryHook(hook)
	if d.sqlite && d.read.DB == d.write.DB {
		d.read = d.write
		return
	}
	d.read = d.read.WithQueryHook(hook)
}

// AppendByBun writes audit entries as bun writes them, without a chain.
func (d *DB) AppendByBun(ctx context.Context, entries []keys.AuditEntry) error {
	rows := newAuditRows(entries)
	_, err := d.write.NewInsert().Model(&rows).Returning("").Exec(ctx)
	return err
}

// AsStored are all audit rows of SQLite, each with its values as SQL literals.
func (d *DB) AsStored(ctx context.Context) (rows []string, err error) {
	fields := d.write.Table(reflect.TypeFor[auditRow]()).Fields
	literals := make([]string, len(fields))
	for i, f := range fields {
		literals[i] = "'" + f.Name + " ' || quote(" + string(f.SQLName) + ")"
	}
	err = d.write.NewRaw("SELECT "+strings.Join(literals, " || ' ' || ")+" FROM audit ORDER BY id").Scan(ctx, &rows)
	return rows, err
}
