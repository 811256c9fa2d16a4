package github

import (
	"bytes"
	"container/list"
	"io"
	"net/http"
	"strconv"
	"sync"
)

const (
	// cacheBytes bounds all kept bodies together, cacheEntryBytes each of them; a
	// page of 100 pull requests is about 2 MiB.
	cacheBytes      = 64 << 20
	cacheEntryBytes = 4 << 20
)

// cacheKey is what an answer depends on. The scope is part of it: an answer to
// one token is never given to another.
type cacheKey struct {
	scope       scope
	url, accept string
}

type cacheEntry struct {
	key    cacheKey
	header http.Header
	body   []byte
}

// cache keeps answers with their ETags; the one not used for longest goes first.
type cache struct {
	most int

	mu    sync.Mutex
	size  int
	order *list.List // of *cacheEntry, newest first
	byKey map[cacheKey]*list.Element
}

func newCache(most int) *cache {
	return &cache{most: most, order: list.New(), byKey: map[cacheKey]*list.Element{}}
}

func (c *cache) get(key cacheKey) (*cacheEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(element)
	return element.Value.(*cacheEntry), true
}

func (c *cache) put(entry *cacheEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.byKey[entry.key]; ok {
		c.remove(old)
	}
	c.byKey[entry.key] = c.order.PushFront(entry)
	for c.size += len(entry.body); c.size > c.most; {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	entry := c.order.Remove(element).(*cacheEntry)
	delete(c.byKey, entry.key)
	c.size -= len(entry.body)
}

// caching asks GitHub only for what changed: a 304 costs nothing of the primary
// limit. Every answer is asked for anew, so nothing stale is ever returned.
type caching struct {
	cache *cache
	scope scope
	next  http.RoundTripper
}

// RoundTrip adds the ETag to a GET and answers a 304 from memory.
func (c caching) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return c.next.RoundTrip(req)
	}
	key := cacheKey{c.scope, req.URL.String(), req.Header.Get("Accept")}
	entry, known := c.cache.get(key)
	if known {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", entry.header.Get("ETag"))
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch {
	case known && resp.StatusCode == http.StatusNotModified:
		discard(resp)
		return entry.response(resp), nil
	case resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "":
		return c.keep(key, resp)
	}
	return resp, nil
}

// keep reads the answer whole and keeps it, unless it is too large for that.
func (c caching) keep(key cacheKey, resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, cacheEntryBytes+1))
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if len(body) > cacheEntryBytes {
		resp.Body = &spliced{Reader: io.MultiReader(bytes.NewReader(body), resp.Body), Closer: resp.Body}
		return resp, nil
	}
	discard(resp)
	c.cache.put(&cacheEntry{key: key, header: resp.Header.Clone(), body: body})
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// response is the kept answer with the limits that the 304 told of.
func (e *cacheEntry) response(fresh *http.Response) *http.Response {
	header := e.header.Clone()
	for name, values := range fresh.Header {
		if name != "Content-Length" && name != "Content-Type" {
			header[name] = values
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(e.body)))
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: fresh.Proto, ProtoMajor: fresh.ProtoMajor, ProtoMinor: fresh.ProtoMinor,
		Header: header, Body: io.NopCloser(bytes.NewReader(e.body)), ContentLength: int64(len(e.body)), Request: fresh.Request,
	}
}
