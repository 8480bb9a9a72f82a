package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

const (
	remoteTimeout = 90 * time.Second // an edit answers once every replica has applied it
	maxAnswer     = 64 << 20         // bytes; some 60000 keys
	maxRetryAfter = 5 * time.Second
)

// remote asks a server's REST API as the holder of one credential. It follows
// no redirect: the credential goes to the server that was named, or nowhere.
type remote struct {
	base      string // without a slash at its end
	token     keys.Secret
	tenant    string // for X-Org-Slug; "" = the credential's own
	client    *http.Client
	maxAnswer int64
}

func newRemote(base string, token keys.Secret) *remote {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	return &remote{base: base, token: token, maxAnswer: maxAnswer, client: &http.Client{
		Transport:     transport,
		Timeout:       remoteTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// serverURL is a server's base URL as paths are put behind it.
func serverURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", &usageError{"--url must be like https://mcp.example.com", "it is the server's base URL, as bailiwick serve prints it"}
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", &usageError{"--url must have no user, query or fragment", "the key comes from BAILIWICK_KEY, --key-file or --key -"}
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// apiRequest is one operation of the API.
type apiRequest struct {
	method, path string
	query        url.Values
	kind         string // of the body; "" = none
	body         []byte
	// once is an edit that must not be done twice: it has an Idempotency-Key,
	// under which a try that got no answer is repeated, once.
	once    bool
	ifMatch int64 // the version that is to be changed; 0 = whatever it is
}

// with is the request with a body in JSON.
func (q apiRequest) with(body any) apiRequest {
	var data bytes.Buffer
	if err := wire.WriteJSON(&data, body); err != nil {
		panic(err) // the types of wire can be encoded
	}
	q.kind, q.body = "application/json", data.Bytes()
	return q
}

// reply is the server's answer, read to its end.
type reply struct {
	status int
	header http.Header
	data   []byte
}

func (a reply) kind() string {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	return kind
}

// do asks, and reads the answer into a value. Errors are what the server found
// wrong, as keys.Service would say it, or why there is no answer.
func (r *remote) do(ctx context.Context, q apiRequest, into any) error {
	answer, err := r.ask(ctx, q)
	if err != nil {
		return err
	}
	return r.read(answer, into)
}

// ask answers with what the server answered, whatever that is.
func (r *remote) ask(ctx context.Context, q apiRequest) (reply, error) {
	idempotency := ""
	if q.once {
		idempotency = uuid.NewString()
	}
	answer, err := r.try(ctx, q, idempotency)
	if q.once && (broken(err) || err == nil && answer.status == http.StatusServiceUnavailable) {
		if err := wait(ctx, answer.header.Get("Retry-After")); err != nil {
			return answer, err
		}
		answer, err = r.try(ctx, q, idempotency)
	}
	if err != nil {
		err = r.unanswered(err)
	}
	return answer, err
}

func (r *remote) read(answer reply, into any) error {
	switch {
	case answer.status/100 != 2:
		return r.refusal(answer)
	case answer.kind() != "application/json" || json.Unmarshal(answer.data, into) != nil:
		return r.notBailiwick(answer)
	}
	return nil
}

func (r *remote) try(ctx context.Context, q apiRequest, idempotency string) (reply, error) {
	target := r.base + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	sent, err := http.NewRequestWithContext(ctx, q.method, target, bytes.NewReader(q.body))
	if err != nil {
		return reply{}, err
	}
	h := sent.Header
	h.Set("Authorization", "Bearer "+r.token.Reveal())
	h.Set("Accept", "application/json")
	if q.ifMatch != 0 {
		h.Set("If-Match", `"`+strconv.FormatInt(q.ifMatch, 10)+`"`)
	}
	h.Set("User-Agent", "bailiwick/"+version)
	for name, value := range map[string]string{"Content-Type": q.kind, "X-Org-Slug": r.tenant, "Idempotency-Key": idempotency} {
		if value != "" {
			h.Set(name, value)
		}
	}
	got, err := r.client.Do(sent)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = got.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(got.Body, r.maxAnswer+1))
	if err == nil && int64(len(data)) > r.maxAnswer {
		err = errTooLarge
	}
	return reply{got.StatusCode, got.Header, data}, err
}

var errTooLarge = errors.New("the answer is too large")

// broken tells a connection that was there and ended without a whole answer:
// what was asked may have been done. It is not one that was never made, or
// that was waited on for too long already.
func broken(err error) bool {
	var op *net.OpError
	dialled := !errors.As(err, &op) || op.Op != "dial"
	cut := op != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	return dialled && cut && !timedOut(err) && !errors.Is(err, context.Canceled)
}

func timedOut(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// wait is for as long as the server asks, within reason.
func wait(ctx context.Context, seconds string) error {
	n, _ := strconv.Atoi(cmp.Or(seconds, "0"))
	select {
	case <-time.After(min(max(time.Duration(n)*time.Second, 0), maxRetryAfter)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
