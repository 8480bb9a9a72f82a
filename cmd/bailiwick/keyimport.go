package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) keysImport() *cobra.Command {
	return c.onKeys("import FILE", "Make keys of tokens that another system has given out, by their hashes", oneInput, func(cmd *cobra.Command, out *output) keyAct {
		cmd.Long = "Make keys of tokens that another system has given out. Their holders go on using\n" +
			"them; the tokens themselves are not needed. FILE (- is standard input) has JSON\n" +
			"Lines, one key on each, at most 10,000: name, hash (the SHA-256 of the token, in\n" +
			"hexadecimal or base64), prefix (shown in place of the token's start), and any other\n" +
			"field that the REST API takes for a new key. All of them are imported, or none."
		// A finished hash here would be that of a token which every reader knows.
		cmd.Example = `  HASH=$(printf %s "$OLD_TOKEN" | sha256sum | cut -d ' ' -f 1)
  echo '{"name": "old agent", "hash": "'$HASH'", "prefix": "sk-a1"}' | bailiwick keys import -`
		return func(ctx context.Context, ring keyring, args []string) error {
			data, err := c.readImport(args[0])
			if err != nil {
				return err
			}
			answer, err := ring.Import(ctx, data)
			if err != nil {
				return err
			}
			return c.writeImport(answer, out)
		}
	})
}

// oneInput takes a file, which can't be on standard input together with the key.
func oneInput(cmd *cobra.Command, args []string) error {
	if err := exactly("FILE")(cmd, args); err != nil {
		return err
	}
	if args[0] == "-" && cmd.Flags().Lookup("key").Value.String() == "-" {
		return &usageError{"standard input can't have both the key of --key and FILE", "give the key with BAILIWICK_KEY or --key-file"}
	}
	return nil
}

func (c *cli) readImport(name string) ([]byte, error) {
	from := c.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	data, err := io.ReadAll(io.LimitReader(from, wire.MaxImport+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > wire.MaxImport:
		return nil, withHint(fmt.Errorf("%s is larger than %d bytes", name, wire.MaxImport), "import it in parts")
	case len(bytes.TrimSpace(data)) == 0:
		if name == "-" {
			name = "standard input"
		}
		return nil, withHint(fmt.Errorf("%s has no keys", name), "give one JSON object on each line; see bailiwick keys import --help")
	}
	return data, nil
}

// writeImport shows every line, and fails where nothing was imported.
func (c *cli) writeImport(a wire.EditedImport, out *output) error {
	c.warnOf(a.Propagation)
	rows := make([]row, len(a.Results))
	for i, l := range a.Results {
		problem := ""
		switch {
		case l.Error != nil && len(l.Error.Errors) > 0:
			problem = allFaults(&keys.InvalidError{Fields: l.Error.Errors})
		case l.Error != nil:
			problem = l.Error.Detail
		}
		rows[i] = row{fmt.Sprint(l.Line), l.Status, orDash(orNone(l.Handle)), orDash(orNone(l.ID)), orDash(problem)}
	}
	var shown any = a
	if a.Faulty() > 0 {
		shown = a.ImportAnswer // it was no edit
	}
	if err := out.write(c.out, shown, row{"LINE", "STATUS", "HANDLE", "ID", "PROBLEM"}, rows); err != nil {
		return err
	}
	if n := a.Faulty(); n > 0 {
		return withHint(fmt.Errorf("%d of %d lines can't be imported; nothing was", n, len(a.Results)), "mend them, or leave them out")
	}
	return nil
}
