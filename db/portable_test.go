package db_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pgquery "github.com/wasilibs/go-pgquery"
)

// What a statement may be made of, by the names of Postgres's own grammar:
// what every one of Postgres, YugabyteDB, CockroachDB and SQLite has, and has
// alike. What is not named here is refused.
var portable = map[string][]string{
	"definition": {"CreateStmt", "AlterTableStmt", "AlterTableCmd", "IndexStmt", "ColumnDef", "Constraint",
		"InsertStmt", "UpdateStmt", "DropStmt", "RenameStmt"},
	"statement": {"InsertStmt", "UpdateStmt", "DeleteStmt", "LockingClause", "SortBy", "RangeSubselect", "SubLink", "ParamRef", "RowExpr", "CommonTableExpr", "JoinExpr"},
	"both": {"SelectStmt", "String", "Integer", "A_Const", "A_Expr", "BoolExpr", "NullTest", "ColumnRef", "A_Star", "List", "RangeVar", "ResTarget",
		"FuncCall", "TypeCast", "InferClause", "IndexElem", "SetToDefault"},
}

// Types of columns, and the names by which Postgres's grammar has some of them.
var portableTypes = []string{"text", "bigint", "int8", "boolean", "bool", "timestamptz", "jsonb", "bytea"}

// Functions of statements. pg_notify and set_config are sent where the database has
// them; like_escape is how the grammar reads LIKE with ESCAPE.
var portableFunctions = []string{"count", "coalesce", "max", "pg_notify", "set_config", "like_escape"}

// flaws are what of a statement, or of some, is not portable. kind is
// "definition" for migrations, "statement" for what the store runs.
func flaws(kind, text string) []string {
	tree, err := pgquery.ParseToJSON(text)
	if err != nil {
		return []string{err.Error()}
	}
	var parsed struct {
		Stmts []struct{ Stmt map[string]any }
	}
	if err := json.Unmarshal([]byte(tree), &parsed); err != nil {
		return []string{err.Error()}
	}
	if len(parsed.Stmts) == 0 {
		return []string{"no statement"}
	}
	w := &walk{allowed: slices.Concat(portable[kind], portable["both"]), altered: map[string]bool{}}
	for _, s := range parsed.Stmts {
		w.statement(s.Stmt)
	}
	return w.flaws
}

type walk struct {
	allowed []string
	altered map[string]bool // tables, by the statements before
	flaws   []string
}

func (w *walk) flaw(format string, args ...any) {
	w.flaws = append(w.flaws, fmt.Sprintf(format, args...))
}

// statement looks at one statement of a migration's transaction. CockroachDB
// can't write a column that the same transaction has added.
func (w *walk) statement(s map[string]any) {
	w.node(s)
	for kind, body := range s {
		fields, _ := body.(map[string]any)
		relation, _ := fields["relation"].(map[string]any)
		table, _ := relation["relname"].(string)
		switch kind {
		case "AlterTableStmt":
			w.altered[table] = true
		case "InsertStmt", "UpdateStmt", "DeleteStmt":
			if w.altered[table] {
				w.flaw("rows of %s are written in the transaction that alters it", table)
			}
		}
	}
}

func (w *walk) node(value any) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			w.node(v)
		}
	case map[string]any:
		for name, v := range value {
			if name[0] >= 'A' && name[0] <= 'Z' && !slices.Contains(w.allowed, name) {
				w.flaw("%s", name)
			}
			w.field(name, v)
			w.node(v)
		}
	}
}

// field looks at what hides in an allowed node.
func (w *walk) field(name string, value any) {
	fields, _ := value.(map[string]any)
	switch name {
	case "typeName":
		if fields["arrayBounds"] != nil {
			w.flaw("an array")
		}
		if fields["typmods"] != nil {
			w.flaw("a type with a length or precision")
		}
		w.among("type", lastName(fields["names"]), portableTypes)
	case "FuncCall":
		w.among("function", lastName(fields["funcname"]), portableFunctions)
	case "LockingClause":
		if fields["strength"] != "LCS_FORUPDATE" || fields["waitPolicy"] != "LockWaitBlock" {
			w.flaw("a row lock that is not plain FOR UPDATE")
		}
	case "CreateStmt":
		for _, other := range []string{"inhRelations", "partspec", "partbound", "ofTypename", "options", "tablespacename"} {
			if fields[other] != nil {
				w.flaw("a table with %s", other)
			}
		}
	case "IndexStmt":
		if method := fields["accessMethod"]; method != nil && method != "btree" {
			w.flaw("an index that is no btree")
		}
		if fields["concurrent"] != nil {
			w.flaw("an index made concurrently")
		}
	case "collClause":
		w.flaw("a collation")
	case "relpersistence":
		if value != "p" {
			w.flaw("a table that is not permanent")
		}
	case "contype":
		w.among("constraint", fmt.Sprint(value), []string{"CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_NOTNULL", "CONSTR_NULL", "CONSTR_DEFAULT", "CONSTR_CHECK", "CONSTR_FOREIGN"})
	case "subtype":
		if text, ok := value.(string); ok && strings.HasPrefix(text, "AT_") {
			w.among("change of a table", text, []string{"AT_AddColumn"})
		}
	}
}

func (w *walk) among(what, name string, allowed []string) {
	if !slices.Contains(allowed, name) {
		w.flaw("the %s %s", what, name)
	}
}

// lastName is a name without its schema.
func lastName(names any) string {
	list, _ := names.([]any)
	if len(list) == 0 {
		return ""
	}
	last, _ := list[len(list)-1].(map[string]any)
	text, _ := last["String"].(map[string]any)
	name, _ := text["sval"].(string)
	return name
}

func TestMigrationsArePortable(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, flaw := range flaws("definition", string(text)) {
			t.Errorf("%s: %s", file, flaw)
		}
		if strings.Contains(string(text), "NO TRANSACTION") {
			t.Errorf("%s: half of it could be done", file)
		}
	}
}

// Every rule refuses what it is for.
func TestPortableRules(t *testing.T) {
	for kind, all := range map[string][]string{
		"definition": {
			"CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "CREATE TABLE t (id serial)", "CREATE TABLE t (id bigserial)",
			"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY)", "CREATE TABLE t (a bigint, b bigint GENERATED ALWAYS AS (a) STORED)",
			"CREATE SEQUENCE s", "CREATE EXTENSION pgcrypto", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DO 'BEGIN END'",
			"CREATE TABLE t (id uuid)", "CREATE TABLE t (tags text[])", "CREATE TABLE t (a varchar(10))", "CREATE TABLE t (a timestamp)", "CREATE TABLE t (a json)",
			"CREATE TABLE t (at timestamptz DEFAULT now())", "CREATE TABLE t (at timestamptz DEFAULT CURRENT_TIMESTAMP)", "CREATE TABLE t (id text DEFAULT gen_random_uuid())",
			"CREATE TABLE t (a text COLLATE \"C\")", "CREATE TYPE e AS ENUM ('a')", "CREATE DOMAIN d AS text", "CREATE TEMP TABLE t (a text)", "CREATE UNLOGGED TABLE t (a text)",
			"CREATE TABLE t (a text) PARTITION BY HASH (a)", "CREATE TABLE t (a text) INHERITS (b)", "CREATE TABLE t (a text, EXCLUDE USING gist (a WITH =))", "CREATE INDEX i ON t USING gin (a)", "CREATE INDEX CONCURRENTLY i ON t (a)",
			"CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE VIEW v AS SELECT 1", "ALTER TABLE t ALTER COLUMN a TYPE bigint", "ALTER TABLE t DROP COLUMN a",
			"ALTER TABLE t ADD COLUMN a text; UPDATE t SET a = 'b'", "SELECT pg_advisory_lock(1)", "TRUNCATE t", "LOCK TABLE t", "GRANT SELECT ON t TO u", "SET search_path = a", "VACUUM", "",
		},
		"statement": {
			"SELECT id FROM t FOR UPDATE SKIP LOCKED", "SELECT id FROM t FOR UPDATE NOWAIT", "SELECT id FROM t FOR SHARE", "SELECT pg_advisory_xact_lock(1)", "SELECT pg_try_advisory_lock(1)",
			"LISTEN bailiwick", "NOTIFY bailiwick", "SET statement_timeout = 1", "SET LOCAL statement_timeout = 1", "PREPARE p AS SELECT 1", "EXECUTE p", "DECLARE c CURSOR FOR SELECT 1", "CREATE TEMP TABLE t (a text)",
			"CREATE TABLE t (a text)", "SELECT nextval('s')", "SELECT now()", "SELECT CURRENT_TIMESTAMP", "SELECT gen_random_uuid()", "SELECT a FROM t WHERE a = ANY(ARRAY['x'])", "SELECT '{a}'::text[]", "SELECT random()",
			"COPY t FROM STDIN", "CALL f()", "INSERT OR REPLACE INTO t VALUES (1)", "SELECT a FROM t WHERE a GLOB 'x'", "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "BEGIN",
		},
	} {
		for _, text := range all {
			if len(flaws(kind, text)) == 0 {
				t.Errorf("%q would pass", text)
			}
		}
	}
}
