package githubtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Delivery is a snapshot of one delivery of a webhook.
type Delivery struct {
	ID         int64
	GUID       string
	Event      string
	Action     string
	Redelivery bool
	At         time.Time
	// Status is "OK" for any 2xx; StatusCode is 0 where nothing answered. Both
	// are zero while it waits.
	Status     string
	StatusCode int
	Header     http.Header
	Payload    []byte
	Response   string
}

// Deliveries returns every delivery of the App's webhook, oldest first.
func (a *App) Deliveries() []Delivery {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	out := []Delivery{}
	for _, d := range a.deliveries {
		out = append(out, Delivery{
			ID: d.id, GUID: d.guid, Event: d.event, Action: d.action, Redelivery: d.redelivery, At: d.at,
			Status: d.status, StatusCode: d.code, Header: d.request.Clone(), Payload: d.payload, Response: d.answer,
		})
	}
	return out
}

// Redeliver sends a delivery again, under its GUID, as the button of the App's
// settings does.
func (a *App) Redeliver(id int64) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	d := a.delivery(id)
	if d == nil {
		return fmt.Errorf("%s has no delivery %d", a.slug, id)
	}
	a.s.send(a.s.again(d, true))
	return nil
}

func (a *App) delivery(id int64) *delivery {
	for _, d := range a.recent() {
		if d.id == id {
			return d
		}
	}
	return nil
}

// recent lists the deliveries that GitHub still keeps and that are over.
func (a *App) recent() []*delivery {
	oldest := a.s.now().Add(-keepDeliveries)
	return slices.DeleteFunc(slices.Clone(a.deliveries), func(d *delivery) bool { return !d.done || d.at.Before(oldest) })
}

func deliveryShape(d *delivery) object {
	return object{
		"id": d.id, "guid": d.guid, "delivered_at": stamp(d.at), "redelivery": d.redelivery, "duration": d.duration.Seconds(),
		"status": d.status, "status_code": d.code, "event": d.event, "action": textOrNil(d.action),
		"installation_id": idOrNil(d.installation), "repository_id": idOrNil(d.repository), "throttled_at": nil,
	}
}

func idOrNil(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// listDeliveries pages by cursor, newest first: the cursor names the id to go on
// below.
func listDeliveries(c *call) reply {
	all := c.cred.app.recent()
	slices.Reverse(all)
	if want := c.query.Get("status"); want != "" {
		all = slices.DeleteFunc(all, func(d *delivery) bool { return (want == "success") != (d.status == "OK") })
	}
	if text := c.query.Get("cursor"); text != "" {
		below, err := decodeCursor(text)
		if err != nil {
			return *invalid(fieldError{Resource: "HookDelivery", Field: "cursor", Code: "invalid"})
		}
		all = slices.DeleteFunc(all, func(d *delivery) bool { return d.id >= below })
	}
	size := min(positive(c.query.Get("per_page"), defaultPerPage), maxPerPage)
	page, header := []any{}, http.Header{}
	for _, d := range all[:min(size, len(all))] {
		page = append(page, deliveryShape(d))
	}
	if len(all) > size {
		header.Set("Link", c.link("next", "cursor", encodeCursor(all[size-1].id)))
	}
	return reply{status: http.StatusOK, body: page, header: header}
}

func encodeCursor(id int64) string {
	return "v1_" + base64.RawURLEncoding.EncodeToString([]byte(formatID(id)))
}

func decodeCursor(text string) (int64, error) {
	if len(text) < 3 || text[:3] != "v1_" {
		return 0, fmt.Errorf("cursor %q: unknown version", text)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text[3:])
	if err != nil {
		return 0, fmt.Errorf("cursor %q: %w", text, err)
	}
	return strconv.ParseInt(string(raw), 10, 64)
}

func getDelivery(c *call) reply {
	d := c.cred.app.delivery(c.number("delivery_id"))
	if d == nil {
		return *notFound()
	}
	return ok(merged(deliveryShape(d), object{
		"url":      c.cred.app.webhookURL,
		"request":  object{"headers": flat(d.request), "payload": json.RawMessage(d.payload)},
		"response": object{"headers": flat(d.response), "payload": d.answer},
	}))
}

func flat(h http.Header) object {
	out := object{}
	for name := range h {
		out[name] = h.Get(name)
	}
	return out
}

func redeliver(c *call) reply {
	d := c.cred.app.delivery(c.number("delivery_id"))
	if d == nil {
		return *notFound()
	}
	c.s.send(c.s.again(d, true))
	return reply{status: http.StatusAccepted, body: object{}}
}
