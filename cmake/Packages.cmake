# Debian packages: `cpack` in the build directory. honeycomb-node is what a node runs, honeycomb-tools what makes payloads and
# images.
# What is built is packed: cpack itself builds nothing, least of all the tests.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME honeycomb)
set(CPACK_PACKAGE_CONTACT "The Honeycomb OS maintainers <honeycomb@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL node tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_STRIP_FILES ON)

set(CPACK_DEBIAN_NODE_PACKAGE_NAME honeycomb-node)
set(CPACK_COMPONENT_NODE_DESCRIPTION
    "A/B upgrades of edge nodes and their peripherals
 The engine of Honeycomb OS: hc-os, the service honeycombd with its queue and local API, the boot-time judge, and the
 library for hooks.")
set(CPACK_DEBIAN_NODE_PACKAGE_DEPENDS "systemd, dbus")
set(CPACK_DEBIAN_NODE_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/packages/postinst ${PROJECT_SOURCE_DIR}/packages/prerm ${PROJECT_SOURCE_DIR}/packages/postrm)

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME honeycomb-tools)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION
    "Payloads and images for Honeycomb OS
 hc-payload makes, signs and checks payloads; hc-sandbox is a node in a folder.")
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "honeycomb-node")
include(CPack)
