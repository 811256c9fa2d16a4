package githubtest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPerPage = 30
	maxPerPage     = 100
)

// listed answers with the page of items that was asked for.
func listed[T any](c *call, items []T, shape func(T) any) reply {
	page, header := paged(c, items, defaultPerPage, maxPerPage, shape)
	return reply{status: http.StatusOK, body: page, header: header}
}

// counted answers with the page of items under key, beside "total_count".
func counted[T any](c *call, key string, items []T, shape func(T) any) reply {
	page, header := paged(c, items, defaultPerPage, maxPerPage, shape)
	return reply{status: http.StatusOK, body: object{"total_count": len(items), key: page}, header: header}
}

// paged returns a page of so many items as were asked for, otherwise unless told,
// and never more than most.
func paged[T any](c *call, items []T, otherwise, most int, shape func(T) any) ([]any, http.Header) {
	size := min(positive(c.query.Get("per_page"), otherwise), most)
	page := positive(c.query.Get("page"), 1)
	last := max(1, (len(items)+size-1)/size)
	out := []any{}
	for i := (page - 1) * size; i < min(page*size, len(items)); i++ {
		out = append(out, shape(items[i]))
	}
	header := http.Header{}
	if link := c.links(page, last); link != "" {
		header.Set("Link", link)
	}
	return out, header
}

func positive(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// links is the Link header of a page (docs.github.com, "Using pagination in the
// REST API"); empty where everything fits one page.
func (c *call) links(page, last int) string {
	var out []string
	add := func(rel string, n int) {
		out = append(out, c.link(rel, "page", strconv.Itoa(n)))
	}
	if page > 1 {
		add("prev", min(page-1, last))
	}
	if page < last {
		add("next", page+1)
		add("last", last)
	}
	if page > 1 {
		add("first", 1)
	}
	return strings.Join(out, ", ")
}

// link is one entry of a Link header: this request with one parameter changed.
func (c *call) link(rel, parameter, value string) string {
	query := url.Values{}
	for k, v := range c.query {
		query[k] = v
	}
	query.Set(parameter, value)
	return "<" + c.s.api(c.path) + "?" + query.Encode() + `>; rel="` + rel + `"`
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }
