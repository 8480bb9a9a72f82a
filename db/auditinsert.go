package db

import (
	"context"
	"database/sql"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// auditInsert writes audit rows into SQLite by statements that are parsed once: bun
// writes the values into the statement, and parsing that takes a third of the time
// that writing a batch does.
type auditInsert struct {
	mu         sync.Mutex
	one, group *sql.Stmt
	fields     []*schema.Field
}

// auditGroup is how many rows one statement writes.
const auditGroup = 32

// prepare makes the statements at the first use; the schema is there by then.
func (a *auditInsert) prepare(ctx context.Context, pool *bun.DB) (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.group != nil {
		return nil
	}
	a.fields = pool.Table(reflect.TypeFor[auditRow]()).Fields
	if a.one == nil {
		if a.one, err = pool.DB.PrepareContext(ctx, a.statement(1)); err != nil {
			return fault(ctx, err)
		}
	}
	a.group, err = pool.DB.PrepareContext(ctx, a.statement(auditGroup))
	return fault(ctx, err)
}

func (a *auditInsert) statement(rows int) string {
	names := make([]string, len(a.fields))
	for i, f := range a.fields {
		names[i] = string(f.SQLName)
	}
	row := "(" + strings.Join(slices.Repeat([]string{"?"}, len(names)), ", ") + ")"
	return "INSERT INTO audit (" + strings.Join(names, ", ") + ") VALUES " + strings.Join(slices.Repeat([]string{row}, rows), ", ")
}

// write inserts rows of a transaction of the pool that prepare was given.
func (a *auditInsert) write(ctx context.Context, tx bun.Tx, rows []auditRow) error {
	values := make([]any, 0, auditGroup*len(a.fields))
	for len(rows) > 0 {
		stmt, n := a.group, auditGroup
		if len(rows) < auditGroup {
			stmt, n = a.one, 1
		}
		values = values[:0]
		for i := range rows[:n] {
			values = a.append(values, &rows[i], tx.Dialect())
		}
		if _, err := tx.Tx.StmtContext(ctx, stmt).ExecContext(ctx, values...); err != nil {
			return fault(ctx, err)
		}
		rows = rows[n:]
	}
	return nil
}

// append adds the values of a row. Times are written as bun writes them: the driver has
// a form of its own, which sorts otherwise.
func (a *auditInsert) append(values []any, row *auditRow, dialect schema.Dialect) []any {
	v := reflect.ValueOf(row).Elem()
	for _, f := range a.fields {
		value := f.Value(v).Interface()
		if at, ok := value.(time.Time); ok {
			value = strings.Trim(string(dialect.AppendTime(nil, at)), "'")
		}
		values = append(values, value)
	}
	return values
}
