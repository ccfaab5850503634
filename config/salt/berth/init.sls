# Copies the manifest of a minion, checks it before it replaces the old one, and applies it. The pillar `berth` may have
# `directory`, the directory on the minion. Jinja is used for names only. No manifest is a template.
{% set directory = salt['pillar.get']('berth:directory', '/etc/berth') %}

manifest of the host:
  file.managed:
    - name: {{ directory }}/host.yaml
    - source: salt://berth/manifests/{{ grains['id'] }}.yaml
    - makedirs: True
    - mode: "0644"
    - check_cmd: berth validate

devices of the guests:
  berth.assigned:
    - manifest: {{ directory }}
    - require:
      - file: manifest of the host
