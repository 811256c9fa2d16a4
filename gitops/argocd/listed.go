package argocd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
)

// Elements returns the names of the Applications that a file of ApplicationSet or
// DeployedApplicationSet lists. Others may have written to it: what is none is an error.
func Elements(file gitops.File) ([]string, error) {
	var names []string
	for _, document := range bytes.Split(file.Content, []byte("\n---\n")) {
		var set v1alpha1.ApplicationSet
		if err := yaml.Unmarshal(document, &set); err != nil {
			return nil, fmt.Errorf("read %s: %w", file.Path, err)
		}
		for _, generator := range set.Spec.Generators {
			if generator.List == nil {
				return nil, fmt.Errorf("read %s: a generator is no list", file.Path)
			}
			for _, element := range generator.List.Elements {
				var e params
				if err := json.Unmarshal(element.Raw, &e); err != nil || e.Name == "" {
					return nil, fmt.Errorf("read %s: an element has no name", file.Path)
				}
				names = append(names, e.Name)
			}
		}
	}
	return names, nil
}

// Applications returns the names of the Applications of idp's that are synced from one of
// the repositories, as Argo CD calls them, and are not being deleted.
func (c *Client) Applications(ctx context.Context, repositories []string) ([]string, error) {
	var answer struct {
		Items []struct {
			Metadata struct {
				Name              string  `json:"name"`
				DeletionTimestamp *string `json:"deletionTimestamp"`
			} `json:"metadata"`
			Spec struct {
				Source struct {
					RepoURL string `json:"repoURL"`
				} `json:"source"`
			} `json:"spec"`
		} `json:"items"`
	}
	if err := c.get(ctx, "list", "api/v1/applications", url.Values{"selector": {selector}}, &answer); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	ours := map[string]bool{}
	for _, r := range repositories {
		ours[r] = true
	}
	var names []string
	for _, item := range answer.Items {
		if ours[item.Spec.Source.RepoURL] && item.Metadata.DeletionTimestamp == nil {
			names = append(names, item.Metadata.Name)
		}
	}
	return names, nil
}
