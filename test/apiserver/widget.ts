/** A definition as an operator would bring it, in the style of the Gateway API; tests change what they need. */
export const WIDGET_CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: widgets, kind: Widget, shortNames: [wd], categories: [gadgets] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources:
        status: {}
        scale:
          specReplicasPath: .spec.replicas
          statusReplicasPath: .status.replicas
          labelSelectorPath: .status.selector
      additionalPrinterColumns:
        - { name: Color, type: string, jsonPath: .spec.color }
        - { name: Replicas, type: integer, jsonPath: .spec.replicas }
        - { name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status' }
        - { name: Hidden, type: string, jsonPath: .spec.color, priority: 1 }
        - { name: Age, type: date, jsonPath: .metadata.creationTimestamp }
      selectableFields: [{ jsonPath: .spec.color }]
      schema:
        openAPIV3Schema:
          type: object
          description: A widget of some color.
          required: [spec]
          properties:
            apiVersion: { type: string }
            kind: { type: string }
            metadata: { type: object }
            spec:
              type: object
              description: What is wanted of a widget.
              required: [color]
              properties:
                color: { type: string, enum: [red, green, blue], description: Its color. }
                replicas: { type: integer, format: int32, minimum: 0, maximum: 100, default: 1 }
                host: { type: string, maxLength: 253, pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }
                port: { x-kubernetes-int-or-string: true }
                weight: { type: number, exclusiveMinimum: true, minimum: 0 }
                note: { type: string, nullable: true }
                since: { type: string, format: date-time }
                listeners:
                  type: array
                  maxItems: 3
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items:
                    type: object
                    required: [name]
                    properties:
                      name: { type: string, minLength: 1 }
                      protocol: { type: string, default: HTTP }
                      tls:
                        type: object
                        properties:
                          mode: { type: string, default: Terminate }
                tags: { type: array, x-kubernetes-list-type: set, items: { type: string } }
                limits: { type: object, additionalProperties: { type: integer } }
                extra: { type: object, x-kubernetes-preserve-unknown-fields: true }
                template:
                  type: object
                  x-kubernetes-embedded-resource: true
                  x-kubernetes-preserve-unknown-fields: true
                backend:
                  type: object
                  properties: { service: { type: string }, url: { type: string } }
                  oneOf: [{ required: [service] }, { required: [url] }]
            status:
              type: object
              properties:
                replicas: { type: integer }
                selector: { type: string }
                conditions:
                  type: array
                  items:
                    type: object
                    properties: { type: { type: string }, status: { type: string } }
`;

export function widgetYaml(name: string, spec: string): string {
  return `
apiVersion: example.com/v1
kind: Widget
metadata: { name: ${name} }
spec: ${spec}
`;
}
