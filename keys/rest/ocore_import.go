package rest

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"reflect"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

const jsonLines = "application/x-ndjson"

func (o operations) importKey(ctx context.Context, p keys.Principal, k keys.ImportedKey) (keys.Key, error) {
	results, err := o.svc.ImportKeys(ctx, p, []keys.ImportedKey{k})
	if faulty, ok := asImport(err); ok {
		return keys.Key{}, faulty.Results[0].Err
	}
	if err != nil {
		return keys.Key{}, err
	}
	return results[0].Key, nil
}

func (o operations) importKeys(ctx context.Context, p keys.Principal, in wire.Import) (wire.ImportAnswer, error) {
	answer, err := in.Into(func(list []keys.ImportedKey) ([]keys.ImportResult, error) {
		return o.svc.ImportKeys(ctx, p, list)
	})
	switch invalid, ok := asInvalid(err); {
	case ok:
		return answer, &refusedImport{problemOf(invalid), wire.ImportAnswer{Results: []wire.ImportLine{}}}
	case err == nil && answer.Faulty() > 0:
		text := fmt.Sprintf("%d of %d lines can't be imported; none was: see results", answer.Faulty(), len(answer.Results))
		return answer, &refusedImport{wire.NewProblem(http.StatusUnprocessableEntity, "invalid", text), answer}
	}
	return answer, err
}

// refusedImport is an import of which nothing was written, with what became of
// each line.
type refusedImport struct {
	problem wire.Problem
	answer  wire.ImportAnswer
}

func (e *refusedImport) Error() string { return e.problem.Detail }

func (e *refusedImport) answerTo(w http.ResponseWriter) {
	e.problem.AnswerAs(w, "application/problem+json", wire.ImportProblem{Problem: e.problem, ImportAnswer: e.answer})
}

func importedKey(_ *call, body wire.ImportKey) (keys.ImportedKey, error) {
	return body.ImportedKey(source)
}

// lines reads JSON Lines. What is wrong with one of them is in the answer.
func lines() input[wire.Import] {
	return input[wire.Import]{
		takes{body: reflect.TypeFor[wire.ImportKey](), mediaType: jsonLines, maxBody: wire.MaxImport},
		func(c *call) (wire.Import, error) {
			if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != jsonLines {
				return wire.Import{}, &fault{wire.NewProblem(http.StatusUnsupportedMediaType, "not_json_lines",
					"the body must be JSON Lines, one key on each: send Content-Type: "+jsonLines)}
			}
			if err := c.notEncoded(); err != nil {
				return wire.Import{}, err
			}
			if !c.allowed() { // which the operation says: so much is not read for that
				return wire.Import{}, nil
			}
			data, err := c.body()
			if err != nil {
				return wire.Import{}, err
			}
			return wire.ParseImport(data, source), nil
		},
	}
}

func editedImport(c *call, a wire.ImportAnswer) wire.EditedImport {
	return wire.EditedImport{ImportAnswer: a, Edited: c.edited()}
}
