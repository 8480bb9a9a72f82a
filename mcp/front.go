package mcp

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// front checks where a request says it is going and where it comes from, so
// that a web page can't reach the server through a name that it made resolve
// to it (DNS rebinding).
type front struct {
	host    string // of the public URL, without port; "" = none is set
	path    string // of the public URL, without a slash at the end
	origins []string
}

func newFront(publicURL string, origins []string) (*front, error) {
	f := &front{}
	for _, o := range origins {
		origin, err := parseOrigin(o)
		if err != nil {
			return nil, err
		}
		f.origins = append(f.origins, origin)
	}
	if publicURL == "" {
		return f, nil
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("public URL %q must be like https://mcp.example.com", publicURL)
	}
	f.host, f.path = strings.ToLower(u.Hostname()), strings.TrimSuffix(u.Path, "/")
	f.origins = append(f.origins, originOf(u))
	return f, nil
}

func parseOrigin(o string) (string, error) {
	u, err := url.Parse(o)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("allowed origin %q must be like https://app.example.com", o)
	}
	return originOf(u), nil
}

func originOf(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }

// refusal is a 403 for a Host or Origin that is not ours, else nil.
func (f *front) refusal(r *http.Request) *wire.Problem {
	var p wire.Problem
	switch {
	case !f.hostAllowed(r):
		p = wire.NewProblem(http.StatusForbidden, "host_denied", "the Host header names another server: reach it under its public URL (--public-url)")
	case !f.originAllowed(r):
		p = wire.NewProblem(http.StatusForbidden, "origin_denied", "requests from this web origin are not allowed (--allowed-origin)")
	default:
		return nil
	}
	return &p
}

func (f *front) hostAllowed(r *http.Request) bool {
	host := strings.ToLower((&url.URL{Host: r.Host}).Hostname())
	switch {
	case f.host != "" && host == f.host, loopbackName(host):
		return true
	}
	// Without a public URL a server on an outside address can't know its names.
	return f.host == "" && !onLoopback(r)
}

func (f *front) originAllowed(r *http.Request) bool {
	given := r.Header.Values("Origin")
	if len(given) == 0 {
		return true
	}
	if len(given) > 1 {
		return false
	}
	u, err := url.Parse(given[0])
	if err != nil || u.Host == "" {
		return false
	}
	return slices.Contains(f.origins, originOf(u)) || onLoopback(r) && loopbackName(strings.ToLower(u.Hostname()))
}

// onLoopback tells whether the connection came in on a loopback address; one
// of which nothing is known counts as such, which is the stricter reading.
func onLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.IP.IsLoopback()
	}
	host, _, err := net.SplitHostPort(addr.String())
	return err != nil || loopbackName(host)
}

func loopbackName(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// corsHeaders let an allowed web origin read what we answer.
func corsHeaders(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
	h.Add("Vary", "Origin")
}

// preflight answers a browser's OPTIONS. It carries no credential and learns
// nothing but what every client knows. An origin that is let through may send
// any header: Mcp-Param-* have no fixed names.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	if wanted := r.Header.Values("Access-Control-Request-Headers"); len(wanted) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(wanted, ", "))
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
